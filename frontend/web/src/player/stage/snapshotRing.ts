import { type SnapshotLayout, snapshotLength, snapshotOffsets } from "../sceneDescription";

/** A snapshot as the stage keeps it. */
export interface PosedMoment {
  readonly poses: Float32Array<ArrayBuffer>;
  /** When it was due, in milliseconds on the page's clock. */
  readonly dueMs: number;
  /** Between two episodes the robot jumps, and nothing is blended. */
  readonly episode: number;
}

/**
 * Keeps the last snapshots and says where everything is at a moment between them. Physics ticks at the control rate and the
 * screen at its own; drawing a little in the past and blending makes the motion smooth. Old buffers go back to the worker.
 */
export class SnapshotRing {
  #moments: PosedMoment[] = [];
  #gapMs = 20;
  readonly #blended: Float32Array<ArrayBuffer>;

  constructor(
    readonly layout: SnapshotLayout,
    readonly recycle: (poses: Float32Array<ArrayBuffer>) => void,
  ) {
    this.#blended = new Float32Array(snapshotLength(layout));
  }

  push(moment: PosedMoment): void {
    const last = this.#moments.at(-1);
    if (last) this.#gapMs += 0.1 * (Math.min(200, Math.max(1, moment.dueMs - last.dueMs)) - this.#gapMs);
    this.#moments.push(moment);
    while (this.#moments.length > 3) this.#dropFirst();
  }

  /** Returns the poses to draw at `nowMs`, and whether they still change; undefined before the first snapshot. The array is reused. */
  at(nowMs: number): { readonly poses: Float32Array; readonly settled: boolean } | undefined {
    const last = this.#moments.at(-1);
    if (!last) return undefined;
    const shownMs = nowMs - 1.5 * this.#gapMs;
    const after = this.#moments.findIndex((moment) => moment.dueMs > shownMs);
    if (after < 0) return { poses: last.poses, settled: true };
    const [from, to] = [this.#moments[after - 1], this.#moments[after]];
    if (!to) return { poses: last.poses, settled: true };
    if (!from || from.episode !== to.episode) return { poses: (from ?? to).poses, settled: false };
    blend(from.poses, to.poses, (shownMs - from.dueMs) / (to.dueMs - from.dueMs), this.layout, this.#blended);
    return { poses: this.#blended, settled: false };
  }

  clear(): void {
    while (this.#moments.length > 0) this.#dropFirst();
  }

  #dropFirst(): void {
    const first = this.#moments.shift();
    if (first) this.recycle(first.poses);
  }
}

/** Blends two snapshots: positions along straight lines, rotations along the shorter arc (normalized afterwards). */
export function blend(
  from: Float32Array,
  to: Float32Array,
  part: number,
  layout: SnapshotLayout,
  out: Float32Array,
): void {
  from.forEach((value, i) => {
    out[i] = value + part * ((to[i] ?? value) - value);
  });
  const framesEnd = snapshotOffsets(layout).segments;
  for (let at = 3; at < framesEnd; at += 7) {
    blendQuaternion(from.subarray(at, at + 4), to.subarray(at, at + 4), part, out.subarray(at, at + 4));
  }
}

function blendQuaternion(from: Float32Array, to: Float32Array, part: number, out: Float32Array): void {
  const sameSide = from.reduce((dot, value, i) => dot + value * (to[i] ?? 0), 0) >= 0 ? 1 : -1;
  from.forEach((value, i) => {
    out[i] = (1 - part) * value + part * sameSide * (to[i] ?? 0);
  });
  const length = Math.hypot(...out) || 1;
  out.forEach((value, i) => {
    out[i] = value / length;
  });
}
