/** A backlog longer than this is dropped: the robot then runs slower than real time, and says so, but never races to catch up. */
const longestBacklogMs = 150;

/** Says when ticks are due, so that `speed` times real time passes. All times in milliseconds on one clock. */
export class TickClock {
  #periodMs: number;
  #nextDueMs: number;

  constructor(periodMs: number, nowMs: number) {
    this.#periodMs = periodMs;
    this.#nextDueMs = nowMs;
  }

  /** When the next tick is due. */
  get nextDueMs(): number {
    return this.#nextDueMs;
  }

  /** Changes the pace from the next tick on. */
  setPeriod(periodMs: number, nowMs: number): void {
    this.#nextDueMs = Math.min(this.#nextDueMs, nowMs + periodMs);
    this.#periodMs = periodMs;
  }

  /** Begins anew, after a pause: the next tick is due now. */
  restart(nowMs: number): void {
    this.#nextDueMs = nowMs;
  }

  /** Takes the next tick if it is due and returns when it was, else undefined. The one after it is due `gapMs` later. */
  take(nowMs: number, gapMs = this.#periodMs): number | undefined {
    if (nowMs < this.#nextDueMs) return undefined;
    if (nowMs - this.#nextDueMs > longestBacklogMs) this.#nextDueMs = nowMs;
    const dueMs = this.#nextDueMs;
    this.#nextDueMs += gapMs;
    return dueMs;
  }
}

/** Measures how much simulated time passes per real time over the last `windowMs`. */
export class RealTimeMeter {
  #samples: { readonly nowMs: number; readonly simulatedMs: number }[] = [];
  #simulatedMs = 0;

  constructor(readonly windowMs = 1000) {}

  advance(nowMs: number, simulatedMs: number): void {
    this.#simulatedMs += simulatedMs;
    this.#samples.push({ nowMs, simulatedMs: this.#simulatedMs });
    while ((this.#samples[1]?.nowMs ?? nowMs) < nowMs - this.windowMs) this.#samples.shift();
  }

  restart(): void {
    this.#samples = [];
  }

  /** Simulated per real time; 0 until two moments are known. */
  get factor(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.nowMs <= first.nowMs) return 0;
    return (last.simulatedMs - first.simulatedMs) / (last.nowMs - first.nowMs);
  }
}
