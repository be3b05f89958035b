/** Pixel ratios to fall back to, one after another, where drawing is slow; the first is capped by the screen's own. */
const ratios = [2, 1, 0.75, 0.55] as const;
const slowFrameMs = 45;
const patienceFrames = 25;

/** Lowers the resolution where frames take too long, as without a GPU. It never raises it again, so it cannot swing. */
export class Quality {
  #level = 0;
  #slowFrames = 0;

  /** @param screenRatio the screen's own pixel ratio */
  constructor(readonly screenRatio: number) {
    while (this.#level + 1 < ratios.length && (ratios[this.#level + 1] ?? 0) >= screenRatio) this.#level += 1;
  }

  get pixelRatio(): number {
    return Math.min(this.screenRatio, ratios[this.#level] ?? 1);
  }

  /** Tells how long a frame of an ongoing motion took; says whether the pixel ratio changed. */
  frameTook(elapsedMs: number): boolean {
    // A single long pause is a hidden tab or a loading scene, not slow drawing.
    if (elapsedMs > 1000) return false;
    this.#slowFrames = Math.max(0, this.#slowFrames + (elapsedMs > slowFrameMs ? 1 : -1));
    if (this.#slowFrames < patienceFrames || this.#level + 1 >= ratios.length) return false;
    this.#slowFrames = 0;
    this.#level += 1;
    return true;
  }
}
