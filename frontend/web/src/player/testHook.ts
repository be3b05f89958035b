import type { PlayerFault } from "./errors";
import type { PlayerTick, Rollout, RolloutSpec } from "./protocol";
import type { View } from "./stage/view";

/** What browser tests read of the simulation: numbers from the worker, not pictures. */
export interface TestHook {
  /** The newest tick of the first lane; null before the first. */
  tick: PlayerTick | null;
  /** Ticks of the first lane told so far. */
  ticks: number;
  /** The newest tick of each lane. */
  readonly lanes: (PlayerTick | null)[];
  /** Environment of the scene on stage; empty before the first. */
  scene: string;
  /** Triangles and drawing calls of the last frame, of all stages. */
  readonly drawn: () => { readonly triangles: number; readonly drawCalls: number };
  /** How each stage looks at its robot. */
  readonly views: () => readonly View[];
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
export function exposeForTests(asked: Pick<TestHook, "rollOut" | "drawn" | "views">) {
  const hook: TestHook = { tick: null, ticks: 0, lanes: [], scene: "", errors: [], ...asked };
  window.__tabrl = hook;
  return {
    set scene(environmentId: string) {
      hook.scene = environmentId;
    },
    show(lane: number, tick: PlayerTick): void {
      hook.lanes[lane] = tick;
      if (lane > 0) return;
      hook.tick = tick;
      hook.ticks += 1;
    },
    setLanes(lanes: number): void {
      hook.lanes.length = lanes;
    },
    fail(fault: PlayerFault): void {
      hook.errors.push(fault);
    },
    withdraw(): void {
      if (window.__tabrl === hook) delete window.__tabrl;
    },
  };
}
