import { keptForGood } from "../stores/kept";
import { createStore, type Store } from "../stores/store";

const KEY = "tabrl.tour";

/** Where the guided run stands: offered at the first visit, under way at a step, at its end, or nothing of it. */
export type TourState = "offered" | "done" | "away" | { readonly step: number };

/** The guided run. Whoever declined, left or finished it is not asked again; the palette starts it. */
export interface Tour {
  readonly state: Store<TourState>;
  /** Whether a person has pulled the robot; the stage says so. */
  readonly pulled: Store<boolean>;
  start(): void;
  advance(step: number, count: number): void;
  /** Ends it, wherever it is. */
  leave(): void;
}

export function createTour(): Tour {
  const state = createStore<TourState>(keptForGood.read(KEY) ? "away" : "offered");
  const remember = () => keptForGood.write(KEY, "known");
  return {
    state,
    pulled: createStore(false),
    start() {
      remember();
      state.set({ step: 0 });
    },
    advance: (step, count) => state.set(step < count ? { step } : "done"),
    leave() {
      remember();
      state.set("away");
    },
  };
}
