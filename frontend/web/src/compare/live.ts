import type { PlayerTick } from "../player";
import { createStore, type Store } from "../stores/store";
import { FORGETTING } from "../studio/termScale";
import { MOST_LANES } from "./lanes";

/** Part of the larger return below which no lead is shown: it would pass to and fro. */
const LEAD = 0.02;

/** What the robots do at this moment. */
export interface LiveLanes {
  /** The newest tick of a lane; undefined before its first. */
  tickOf(lane: number): Store<PlayerTick | undefined>;
  /** The value of a term that fills its bar: one for all lanes, so that their bars compare. */
  readonly scale: Store<number>;
  /** Place of the lane that leads; -1 where none does. */
  readonly leader: Store<number>;
  show(lane: number, tick: PlayerTick): void;
  /** Forgets a lane that is no more. */
  clear(lane: number): void;
  /** Whether the returns of all lanes are sums of the same; without that, only who is left alone leads. */
  setAlike(alike: boolean): void;
}

export function createLiveLanes(): LiveLanes {
  const ticks = Array.from({ length: MOST_LANES }, () => createStore<PlayerTick | undefined>(undefined));
  const none = createStore<PlayerTick | undefined>(undefined);
  const scale = createStore(0);
  const leader = createStore(-1);
  let alike = true;

  const lead = () =>
    leader.set(
      leaderOf(
        ticks.map((each) => each.get()),
        alike,
      ),
    );
  return {
    tickOf: (lane) => ticks[lane] ?? none,
    scale,
    leader,
    show(lane, tick) {
      ticks[lane]?.set(tick);
      const largest = Math.max(...Object.values(tick.terms).map(Math.abs), 1e-6);
      // Each of the lanes forgets its part.
      scale.set((before) => Math.max(largest, before * FORGETTING ** (1 / ticks.length)));
      lead();
    },
    clear(lane) {
      ticks[lane]?.set(undefined);
      lead();
    },
    setAlike(next) {
      alike = next;
      lead();
    },
  };
}

/** Who leads: the one with clearly the highest return so far; of those whose returns do not compare, the one that alone goes on. */
export function leaderOf(ticks: readonly (PlayerTick | undefined)[], alike: boolean): number {
  const playing = ticks.flatMap((tick, lane) => (tick?.driven ? [{ lane, tick }] : []));
  if (playing.length < 2) return -1;
  if (!alike) {
    const left = playing.filter(({ tick }) => tick.ended !== "done");
    return left.length === 1 ? (left[0]?.lane ?? -1) : -1;
  }
  const [first, second] = [...playing].sort((a, b) => b.tick.episodeReturn - a.tick.episodeReturn);
  if (!first || !second) return -1;
  const [most, next] = [first.tick.episodeReturn, second.tick.episodeReturn];
  return most - next > LEAD * Math.max(Math.abs(most), Math.abs(next)) ? first.lane : -1;
}
