/** What a picture may cost. */
interface Level {
  /** Pixels a point; capped by the screen's own. */
  readonly ratio: number;
  /** Side of the sun's picture of the scene, in pixels. */
  readonly shadow: number;
}

/** What to fall back to, one after another, where drawing is slow. */
const levels: readonly [Level, ...Level[]] = [
  { ratio: 2, shadow: 1024 },
  { ratio: 1, shadow: 1024 },
  { ratio: 0.75, shadow: 512 },
  { ratio: 0.55, shadow: 256 },
];
/** Where to begin when the processor plays the graphics card: one of few cores is known to be slow. */
const softwareLevels = { few: 3, many: 2 } as const;
const fewCores = 4;
const slowFrameMs = 45;
/** Slow frames that are no hitch any more, in milliseconds together; a long one counts no more than the limit, so that it takes three. */
const patienceMs = 700;
const longestCountedMs = 250;
/** A longer pause is a hidden tab or a loading scene, not slow drawing. */
const pauseMs = 5000;
/** Frames as slow as this will not be quick enough one level down. */
const verySlowMs = 150;
/** A frame at 60 a second, and a little more. */
const quickFrameMs = 19;
const trustFrames = 90;
const patienceFrames = 25;

/**
 * Lowers resolution and shadows where frames take too long, as without a GPU, and never raises them again, so they cannot swing.
 * Where frames come at the screen's own rate for a while, meshes may be drawn in full detail; once that was too much, never again.
 */
export class Quality {
  #level = 0;
  #slowMs = 0;
  #quickFrames = 0;
  #lateFrames = 0;
  #tooMuch = false;
  #moved = true;

  /**
   * @param screenRatio the screen's own pixel ratio
   * @param drawingCores cores of the processor where it draws itself; 0 with a graphics card
   */
  constructor(
    readonly screenRatio: number,
    drawingCores = 0,
  ) {
    while (this.#level < last && (levels[this.#level + 1]?.ratio ?? 0) >= screenRatio) this.#level += 1;
    const least = drawingCores > fewCores ? softwareLevels.many : softwareLevels.few;
    if (drawingCores > 0) this.#level = Math.max(this.#level, least);
  }

  get pixelRatio(): number {
    return Math.min(this.screenRatio, this.#now.ratio);
  }

  get shadowPixels(): number {
    return this.#now.shadow;
  }

  /** Whether there is time to draw meshes in full detail. */
  get affordsDetail(): boolean {
    return !this.#tooMuch && this.#quickFrames >= trustFrames;
  }

  /** Tells how long ago the frame before was, and whether something moved in this one; says whether the level changed. */
  frameTook(elapsedMs: number, moving = true): boolean {
    // Before a motion begins, nothing was to be drawn: that time says nothing about drawing.
    const goesOn = moving && this.#moved;
    this.#moved = moving;
    if (!goesOn || elapsedMs > pauseMs) return false;
    this.#weighDetail(elapsedMs <= quickFrameMs);
    const countedMs = Math.min(elapsedMs, longestCountedMs);
    this.#slowMs = Math.max(0, this.#slowMs + (elapsedMs > slowFrameMs ? countedMs : -countedMs));
    if (this.#slowMs < patienceMs || this.#level === last) return false;
    this.#slowMs = 0;
    this.#level = Math.min(last, this.#level + (elapsedMs > verySlowMs ? 2 : 1));
    return true;
  }

  get #now(): Level {
    return levels[this.#level] ?? levels[0];
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

const last = levels.length - 1;
