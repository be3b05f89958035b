import { expect, test } from "vitest";
import type { PlayerTick } from "../player";
import { afterTick, NO_FACTS } from "./episodeFacts";

function tick(change: Partial<PlayerTick>): PlayerTick {
  return {
    timeSecs: 0,
    step: 0,
    episode: 1,
    driven: true,
    controllerSha256: "",
    reward: 0,
    terms: {},
    episodeReturn: 0,
    lastEpisodeReturn: undefined,
    realTimeFactor: 1,
    qpos: new Float64Array(),
    ctrl: new Float64Array(),
    grabbed: false,
    ended: "",
    ...change,
  };
}

/** The facts after these ticks in turn, at real time. */
const after = (...ticks: Partial<PlayerTick>[]) =>
  ticks.reduce((facts, change) => afterTick(facts, tick(change), 1), NO_FACTS);

test("given an episode that the environment ended, when the next begins, then it is told for a while after how long", () => {
  const fall = [{ timeSecs: 3.1 }, { timeSecs: 3.2, ended: "done" }] as const;
  expect(after(...fall).endedEarlyAfterSecs).toBe(3.2);
  expect(after(...fall, { episode: 2 }, { episode: 2, timeSecs: 3.9 }).endedEarlyAfterSecs).toBe(3.2);
  expect(after(...fall, { episode: 2 }, { episode: 2, timeSecs: 4.1 }).endedEarlyAfterSecs).toBeUndefined();
});

test("given an episode that ran to its end or was started anew, when the next begins, then nothing fell", () => {
  expect(after({ timeSecs: 20, ended: "time" }, { episode: 2 }).endedEarlyAfterSecs).toBeUndefined();
  const fallenBefore = [
    { timeSecs: 3, ended: "done" },
    { episode: 2, timeSecs: 1 },
  ] as const;
  expect(after(...fallenBefore, { episode: 3 }).endedEarlyAfterSecs).toBeUndefined();
});

test("given a machine that is too slow, when it recovers a little, then it stays slow until it is fast enough for certain", () => {
  expect(after({ realTimeFactor: 0.92 }).slowFactor).toBeUndefined();
  expect(after({ realTimeFactor: 0.7 }).slowFactor).toBe(0.7);
  expect(after({ realTimeFactor: 0.7 }, { realTimeFactor: 0.92 }).slowFactor).toBe(0.92);
  expect(after({ realTimeFactor: 0.7 }, { realTimeFactor: 0.96 }).slowFactor).toBeUndefined();
  expect(after({ realTimeFactor: 0.7 }, { realTimeFactor: 0 }).slowFactor).toBeUndefined();
});

test("given slow motion, when the simulation keeps up with it, then it is not called slow", () => {
  expect(afterTick(NO_FACTS, tick({ realTimeFactor: 0.25 }), 0.25).slowFactor).toBeUndefined();
  expect(afterTick(NO_FACTS, tick({ realTimeFactor: 2 }), 4).slowFactor).toBe(2);
});
