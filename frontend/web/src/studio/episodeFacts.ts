import type { PlayerTick } from "../player";

/** How long the end of an episode is told in the one after it, in simulated seconds. */
const TOLD_SECS = 4;
/** Below this part of the wished speed the robot is called slow, above the other it is not any more; in between nothing changes. */
const SLOW = 0.9;
const FAST_ENOUGH = 0.95;

/** What of the course of the episodes is worth telling. */
export interface EpisodeFacts {
  /** The episode that plays, and how far it came. */
  readonly episode: number;
  readonly timeSecs: number;
  /** Whether the environment ended this episode before its time. */
  readonly cut: boolean;
  /** After how long this or the episode before ended early; undefined where it did not, or some time ago. */
  readonly endedEarlyAfterSecs: number | undefined;
  /** How fast the simulation runs, when it is too slow; else undefined. */
  readonly slowFactor: number | undefined;
}

export const NO_FACTS: EpisodeFacts = {
  episode: -1,
  timeSecs: 0,
  cut: false,
  endedEarlyAfterSecs: undefined,
  slowFactor: undefined,
};

/** The facts after one tick more. */
export function afterTick(facts: EpisodeFacts, tick: PlayerTick, speed: number): EpisodeFacts {
  const cut = tick.ended === "done";
  const follows = tick.episode !== facts.episode ? facts.cut : tick.timeSecs <= TOLD_SECS;
  const early = cut ? tick.timeSecs : follows ? facts.endedEarlyAfterSecs : undefined;
  return {
    episode: tick.episode,
    timeSecs: tick.timeSecs,
    cut,
    endedEarlyAfterSecs: early,
    slowFactor: slowness(facts.slowFactor, tick.realTimeFactor, speed),
  };
}

function slowness(before: number | undefined, factor: number, speed: number): number | undefined {
  if (factor <= 0) return undefined;
  const limit = before === undefined ? SLOW : FAST_ENOUGH;
  return factor < limit * speed ? factor : undefined;
}
