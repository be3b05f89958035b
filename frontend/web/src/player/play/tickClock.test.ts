import { describe, expect, it } from "vitest";
import { RealTimeMeter, TickClock } from "./tickClock";

/** Takes every due tick at each of the given moments and returns how many there were. */
function taken(clock: TickClock, momentsMs: readonly number[]): number[] {
  return momentsMs.map((nowMs) => {
    let count = 0;
    while (clock.take(nowMs) !== undefined) count += 1;
    return count;
  });
}

describe("TickClock", () => {
  it("gives one tick per period, however the moments fall", () => {
    const clock = new TickClock(10, 0);

    expect(taken(clock, [0, 4, 10, 25, 31])).toEqual([1, 0, 1, 1, 1]);
  });

  it("catches up after a short pause and drops a long one", () => {
    const clock = new TickClock(10, 0);

    expect(taken(clock, [0, 100])).toEqual([1, 10]);
    expect(taken(clock, [5000, 5010])).toEqual([1, 1]);
  });

  it("says when each tick was due, not when it was taken", () => {
    const clock = new TickClock(10, 0);
    clock.take(0);

    expect(clock.take(17)).toBe(10);
  });

  it("changes its pace from the next tick on", () => {
    const clock = new TickClock(10, 0);
    clock.take(0);
    clock.setPeriod(5, 2);

    expect(taken(clock, [6, 7, 12, 17])).toEqual([0, 1, 1, 1]);
  });
});

describe("RealTimeMeter", () => {
  it("measures the last second only", () => {
    const meter = new RealTimeMeter(1000);
    for (let nowMs = 0; nowMs <= 2000; nowMs += 10) meter.advance(nowMs, 10);
    expect(meter.factor).toBeCloseTo(1, 5);

    for (let nowMs = 2010; nowMs <= 4000; nowMs += 10) meter.advance(nowMs, 5);
    expect(meter.factor).toBeCloseTo(0.5, 2);
  });

  it("knows nothing before two ticks, and forgets across a pause", () => {
    const meter = new RealTimeMeter();
    meter.advance(0, 10);
    expect(meter.factor).toBe(0);

    meter.advance(10, 10);
    meter.restart();
    meter.advance(60_000, 10);
    expect(meter.factor).toBe(0);
  });
});
