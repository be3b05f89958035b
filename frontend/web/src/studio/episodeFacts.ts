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
  /** After how long the episode before ended early; undefined where it did not, or some time ago. */
  readonly endedEarlyAfterSecs: number | undefined;
  /** How fast the simulation runs, when it is too slow; else undefined. */
  readonly slowFactor: number | undefined;
}

export const NO_FACTS: EpisodeFacts = {
  episode: -1,
  timeSecs: 0,
  endedEarlyAfterSecs: undefined,
  slowFactor: undefined,
};

/** The facts after one tick more. The same object when nothing changed that is told. */
export function afterTick(facts: EpisodeFacts, tick: PlayerTick, speed: number): EpisodeFacts {
  const anew = tick.episode !== facts.episode;
  const early = anew
    ? tick.ended === "done" && facts.episode >= 0
      ? facts.timeSecs
      : undefined
    : tick.timeSecs > TOLD_SECS
      ? undefined
      : facts.endedEarlyAfterSecs;
  return {
    episode: tick.episode,
    timeSecs: tick.timeSecs,
    endedEarlyAfterSecs: early,
    slowFactor: slowness(facts.slowFactor, tick.realTimeFactor, speed),
  };
}

function slowness(before: number | undefined, factor: number, speed: number): number | undefined {
  if (factor <= 0) return undefined;
  const limit = before === undefined ? SLOW : FAST_ENOUGH;
  return factor < limit * speed ? factor : undefined;
}
