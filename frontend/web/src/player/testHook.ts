import type { PlayerFault } from "./errors";
import type { PlayerTick, Rollout, RolloutSpec } from "./protocol";

/** What browser tests read of the simulation: numbers from the worker, not pictures. */
export interface TestHook {
  /** The newest tick; null before the first. */
  tick: PlayerTick | null;
  /** Ticks told so far. */
  ticks: number;
  /** Environment of the scene on stage; empty before the first. */
  scene: string;
  /** Everything that failed, oldest first. */
  readonly errors: PlayerFault[];
  /** Plays a fixed course of events beside what is on screen. */
  readonly rollOut: (spec: RolloutSpec) => Promise<Rollout>;
}

declare global {
  interface Window {
    __tabrl?: TestHook;
  }
}

/** Puts the hook on the window until it is withdrawn. */
export function exposeForTests(rollOut: TestHook["rollOut"]) {
  const hook: TestHook = { tick: null, ticks: 0, scene: "", errors: [], rollOut };
  window.__tabrl = hook;
  return {
    set scene(environmentId: string) {
      hook.scene = environmentId;
    },
    show(tick: PlayerTick): void {
      hook.tick = tick;
      hook.ticks += 1;
    },
    withdraw(): void {
      if (window.__tabrl === hook) delete window.__tabrl;
    },
  };
}
