import { type SnapshotLayout, snapshotLength } from "../sceneDescription";

/** A snapshot as the stage keeps it. */
export interface PosedMoment {
  readonly poses: Float32Array<ArrayBuffer>;
  /** When it was due, in milliseconds on the page's clock. */
  readonly dueMs: number;
  /** Between two episodes the robot jumps, and nothing is blended. */
  readonly episode: number;
  /** Contact forces, six numbers each: where, and the force in newtons, in the world's frame. Absent where they are not wanted. */
  readonly contacts?: Float32Array | undefined;
}

/** What to draw at a moment. */
export interface Shown {
  readonly poses: Float32Array;
  readonly contacts: Float32Array | undefined;
  /** Whether nothing will change until the next snapshot comes. */
  readonly settled: boolean;
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

  /** What to draw at `nowMs`; undefined before the first snapshot. The poses are reused at the next call. */
  at(nowMs: number): Shown | undefined {
    const last = this.#moments.at(-1);
    if (!last) return undefined;
    const shownMs = nowMs - 1.5 * this.#gapMs;
    let after = 0;
    while (after < this.#moments.length && (this.#moments[after]?.dueMs ?? 0) <= shownMs) after += 1;
    const [from, to] = [this.#moments[after - 1], this.#moments[after]];
    if (!to) return { poses: last.poses, contacts: last.contacts, settled: true };
    const { contacts } = from ?? to;
    if (!from || from.episode !== to.episode) return { poses: (from ?? to).poses, contacts, settled: false };
    blend(from.poses, to.poses, (shownMs - from.dueMs) / (to.dueMs - from.dueMs), this.layout, this.#blended);
    return { poses: this.#blended, contacts, settled: false };
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
  for (let i = 0; i < from.length; i += 1) {
    const value = from[i] ?? 0;
    out[i] = value + part * ((to[i] ?? value) - value);
  }
  const framesEnd = 7 * (layout.geoms + layout.sites);
  for (let at = 3; at < framesEnd; at += 7) blendQuaternion(from, to, part, at, out);
}

function blendQuaternion(from: Float32Array, to: Float32Array, part: number, at: number, out: Float32Array): void {
  let dot = 0;
  for (let i = at; i < at + 4; i += 1) dot += (from[i] ?? 0) * (to[i] ?? 0);
  const toPart = dot >= 0 ? part : -part;
  let squared = 0;
  for (let i = at; i < at + 4; i += 1) {
    const value = (1 - part) * (from[i] ?? 0) + toPart * (to[i] ?? 0);
    out[i] = value;
    squared += value * value;
  }
  const length = Math.sqrt(squared) || 1;
  for (let i = at; i < at + 4; i += 1) out[i] = (out[i] ?? 0) / length;
}
