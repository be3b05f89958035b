import { useSyncExternalStore } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { RobustnessReport } from "../player/robustness";
import type { Kept } from "./kept";
import { createStore, type Store } from "./store";

/** How well a controller withstands disturbances, as far as it is measured. */
export interface Robustness {
  readonly status: "running" | "done" | "failed";
  /** Part of the measurement that is done, 0 to 1. */
  readonly progress: number;
  /** The newest that was measured to the end; it stays while it is measured again. */
  readonly report?: RobustnessReport;
  /** Why it could not be measured; empty when it could. */
  readonly problem: string;
}

/** Measurements of robustness by the controller's sha256. They are kept in this browser, as no service keeps them. */
export interface RobustnessReports {
  readonly store: Store<ReadonlyMap<string, Robustness>>;
  /** Measures a policy in its scene, after those that are being measured already. */
  measure(policy: Policy, bundle: SceneBundle): Promise<void>;
  /** Stops the measurement of a controller, or takes it out of the queue; what was measured before stays. */
  cancel(sha256: string): void;
}

/** Measures one policy; aborting ends it with an error. */
export type MeasureRobustness = (
  policy: Policy,
  bundle: SceneBundle,
  options: { readonly onProgress: (share: number) => void; readonly signal: AbortSignal },
) => Promise<RobustnessReport>;

const KEY = "tabrl.robustness.2";
/** Reports that are kept; the oldest make room. */
const MOST_KEPT = 200;

/** Measurements over `measure`, with the reports that are `kept` between visits. */
export function createRobustness(measure: MeasureRobustness, kept: Kept): RobustnessReports {
  const known = reportsIn(kept).map(([sha256, report]) => [sha256, done(report)] as const);
  const store = createStore<ReadonlyMap<string, Robustness>>(new Map(known));
  const write = (sha256: string, next: Robustness | undefined) =>
    store.set((before) => {
      const map = new Map(before);
      if (next) map.set(sha256, next);
      else map.delete(sha256);
      return map;
    });
  const stops = new Map<string, AbortController>();
  let queue: Promise<void> = Promise.resolve();

  async function run(policy: Policy, bundle: SceneBundle, sha256: string, stop: AbortController) {
    const { signal } = stop;
    const before = store.get().get(sha256)?.report;
    const known = before ? { report: before } : {};
    try {
      signal.throwIfAborted();
      const onProgress = (progress: number) => {
        if (!signal.aborted) write(sha256, { status: "running", progress, problem: "", ...known });
      };
      const report = await measure(policy, bundle, { onProgress, signal });
      signal.throwIfAborted();
      write(sha256, done(report));
      keep(kept, sha256, report);
    } catch (thrown) {
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      if (!signal.aborted) write(sha256, { status: "failed", progress: 0, problem, ...known });
    } finally {
      if (stops.get(sha256) === stop) stops.delete(sha256);
    }
  }

  return {
    store,
    measure(policy, bundle) {
      const sha256 = policy.controller?.sha256 ?? "";
      if (!sha256 || stops.has(sha256)) return queue;
      const stop = new AbortController();
      stops.set(sha256, stop);
      const report = store.get().get(sha256)?.report;
      write(sha256, { status: "running", progress: 0, problem: "", ...(report ? { report } : {}) });
      // One at a time: each takes a worker of its own, and the robots on screen want to go on.
      queue = queue.then(() => run(policy, bundle, sha256, stop));
      return queue;
    },
    cancel(sha256) {
      const stop = stops.get(sha256);
      if (!stop) return;
      stop.abort();
      stops.delete(sha256);
      const report = store.get().get(sha256)?.report;
      write(sha256, report && done(report));
    },
  };
}

/** The robustness of a controller; undefined where it was never measured in this browser. */
export function useRobustness(reports: RobustnessReports, sha256: string): Robustness | undefined {
  return useSyncExternalStore(reports.store.subscribe, () => reports.store.get().get(sha256));
}

/**
 * One number for a badge, 0 to 1: the mean over all disturbances of how long the robot lasts and how much of its return it keeps, where
 * that can be told.
 */
export function robustnessScore({ trials }: RobustnessReport): number {
  const disturbed = trials.filter(({ disturbance }) => disturbance !== "none");
  const shares = disturbed.flatMap(({ survival, relativeReturn }) =>
    relativeReturn === null ? [survival] : [survival, keptReturn(relativeReturn)],
  );
  return shares.length > 0 ? shares.reduce((sum, share) => sum + share, 0) / shares.length : 0;
}

/** Part of the undisturbed return that is kept, 0 to 1: more than all of it is luck. */
export function keptReturn(relativeReturn: number): number {
  return Math.min(1, Math.max(0, relativeReturn));
}

function done(report: RobustnessReport): Robustness {
  return { status: "done", progress: 1, problem: "", report };
}

type Entry = readonly [sha256: string, report: RobustnessReport];

/** The reports that are kept; none where they cannot be read, for they can be measured again. */
function reportsIn(kept: Kept): readonly Entry[] {
  try {
    const entries: unknown = JSON.parse(kept.read(KEY) || "[]");
    return Array.isArray(entries) ? entries.filter(isEntry) : [];
  } catch {
    return [];
  }
}

function isEntry(entry: unknown): entry is Entry {
  return Array.isArray(entry) && typeof entry[0] === "string" && Array.isArray(entry[1]?.trials);
}

/** Adds to what is kept by now, which another tab may have changed. */
function keep(kept: Kept, sha256: string, report: RobustnessReport): void {
  const others = reportsIn(kept).filter(([other]) => other !== sha256);
  kept.write(KEY, JSON.stringify([...others, [sha256, report]].slice(-MOST_KEPT)));
}
