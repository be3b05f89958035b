import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

/** Workers that were started, without their scripts. */
class IdleWorker extends EventTarget {
  static started: IdleWorker[] = [];
  ended = false;

  constructor() {
    super();
    IdleWorker.started.push(this);
  }

  terminate(): void {
    this.ended = true;
  }
}

async function ahead() {
  vi.resetModules();
  return import("./ahead");
}

describe("the player that is started ahead", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("Worker", IdleWorker);
    IdleWorker.started = [];
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it("given a worker started ahead, when one is wanted, then it is that one, and the next is another", async () => {
    const { preparePlayer, playerWorker } = await ahead();
    preparePlayer();
    preparePlayer();

    expect(IdleWorker.started).toHaveLength(1);
    expect(playerWorker()).toBe(IdleWorker.started[0]);
    expect(playerWorker()).toBe(IdleWorker.started[1]);
  });

  it("given a worker that nobody takes, when time has passed, then it is ended; one that was taken is not", async () => {
    const { preparePlayer, playerWorker } = await ahead();
    preparePlayer();
    playerWorker();
    preparePlayer();
    vi.advanceTimersByTime(60_000);

    expect(IdleWorker.started.map(({ ended }) => ended)).toEqual([false, true]);
  });

  it("given a worker whose script did not load, when one is wanted, then another is started", async () => {
    const { preparePlayer, playerWorker } = await ahead();
    preparePlayer();
    IdleWorker.started[0]?.dispatchEvent(new Event("error"));

    expect(playerWorker()).toBe(IdleWorker.started[1]);
  });
});
