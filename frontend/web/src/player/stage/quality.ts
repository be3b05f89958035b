/** Pixel ratios to fall back to, one after another, where drawing is slow; the first is capped by the screen's own. */
const ratios = [2, 1, 0.75, 0.55] as const;
const slowFrameMs = 45;
const patienceFrames = 25;
/** A frame at 60 a second, and a little more. */
const quickFrameMs = 19;
const trustFrames = 90;

/**
 * Lowers the resolution where frames take too long, as without a GPU, and never raises it again, so it cannot swing. Where
 * frames come at the screen's own rate for a while, meshes may be drawn in full detail; once that was too much, never again.
 */
export class Quality {
  #level = 0;
  #slowFrames = 0;
  #quickFrames = 0;
  #lateFrames = 0;
  #tooMuch = false;

  /** @param screenRatio the screen's own pixel ratio */
  constructor(readonly screenRatio: number) {
    while (this.#level + 1 < ratios.length && (ratios[this.#level + 1] ?? 0) >= screenRatio) this.#level += 1;
  }

  get pixelRatio(): number {
    return Math.min(this.screenRatio, ratios[this.#level] ?? 1);
  }

  /** Whether there is time to draw meshes in full detail. */
  get affordsDetail(): boolean {
    return !this.#tooMuch && this.#quickFrames >= trustFrames;
  }

  /** Tells how long a frame of an ongoing motion took; says whether the pixel ratio changed. */
  frameTook(elapsedMs: number): boolean {
    // A single long pause is a hidden tab or a loading scene, not slow drawing.
    if (elapsedMs > 1000) return false;
    this.#weighDetail(elapsedMs <= quickFrameMs);
    this.#slowFrames = Math.max(0, this.#slowFrames + (elapsedMs > slowFrameMs ? 1 : -1));
    if (this.#slowFrames < patienceFrames || this.#level + 1 >= ratios.length) return false;
    this.#slowFrames = 0;
    this.#level += 1;
    return true;
  }

  #weighDetail(quick: boolean): void {
    if (!this.affordsDetail) {
      this.#quickFrames = quick ? this.#quickFrames + 1 : 0;
      return;
    }
    this.#lateFrames = Math.max(0, this.#lateFrames + (quick ? -1 : 1));
    if (this.#lateFrames >= patienceFrames) this.#tooMuch = true;
  }
}
