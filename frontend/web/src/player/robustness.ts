import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { PlayerClient } from "./client";
import { PlayerError } from "./errors";
import { controllerFilesOf } from "./files";
import { readManifestScene } from "./manifestScene";
import type { Disturbance, Rollout } from "./protocol";

/** What is done to the robot, in the order of measuring. */
export const robustnessTrials = {
  none: {},
  pushes: { pushSpeed: 0.8 },
  payload: { payloadShare: 0.25 },
  slippery: { friction: 0.35 },
  weak: { strength: 0.7 },
  noise: { sensorNoise: 0.03 },
  delay: { delayTicks: 1 },
} as const satisfies Readonly<Record<string, Disturbance>>;

export type DisturbanceName = keyof typeof robustnessTrials;

/** How a policy did under one disturbance. */
export interface RobustnessTrial {
  readonly disturbance: DisturbanceName;
  /** Mean part of the time that it lasted, 0 to 1. */
  readonly survival: number;
  /** Mean return as a part of the undisturbed one, 0 to 1.2; null where that is not above 0, for then no part says anything. */
  readonly relativeReturn: number | null;
}

export interface RobustnessReport {
  readonly trials: readonly RobustnessTrial[];
}

export interface MeasuringOptions {
  /** Told the part that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

const episodes = 3;
const longestSecs = 10;
const mostRelativeReturn = 1.2;

/** What counts of an episode. */
export interface Outcome {
  /** Part of the time that it lasted, 0 to 1. */
  readonly survival: number;
  readonly episodeReturn: number;
}

/**
 * Measures how a policy withstands disturbances: three episodes of up to ten seconds for each, in a worker of its own. Starts and
 * draws, the environment's own noise and commands among them, are the same for each disturbance and each policy of a robot.
 * The rewards come from the controller's own graph: with noisy sensors they are of what the robot sensed.
 *
 * @throws PlayerError, or the signal's reason
 */
export async function measureRobustness(
  policy: Policy,
  bundle: SceneBundle,
  { onProgress, signal }: MeasuringOptions = {},
): Promise<RobustnessReport> {
  signal?.throwIfAborted();
  const controller = controllerFilesOf(policy, bundle);
  if (!controller) throw new PlayerError("MANIFEST_INVALID", "The policy drives another robot. Choose this robot's.");
  const { manifest } = await readManifestScene(controller.manifest.sha256);
  const ticks = Math.max(1, Math.min(manifest.episodeLength, Math.round(longestSecs / manifest.controlPeriodSecs)));
  signal?.throwIfAborted();

  const client = new PlayerClient({ on: {}, onCrash: () => undefined });
  const stop = () => client.dispose();
  signal?.addEventListener("abort", stop);
  try {
    const names = Object.keys(robustnessTrials) as DisturbanceName[];
    const outcomes = new Map<DisturbanceName, Outcome[]>(names.map((name) => [name, []]));
    let done = 0;
    for (const name of names) {
      for (let episode = 0; episode < episodes; episode += 1) {
        const reset = episode % manifest.resets.length;
        const disturbance = robustnessTrials[name];
        const seed = 1 + episode;
        const rollout = await client.rollOut({ kind: "controller", controller, reset, ticks, disturbance, seed });
        signal?.throwIfAborted();
        outcomes.get(name)?.push(outcomeOf(rollout, ticks));
        done += 1;
        onProgress?.(done / (names.length * episodes));
      }
    }
    return reportOf(outcomes);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    client.dispose();
  }
}

/** What a rollout of `ticks` control periods came to. The tick that ends an episode lies after the periods that it lasted. */
export function outcomeOf({ ended, reward }: Pick<Rollout, "ended" | "reward">, ticks: number): Outcome {
  const lasted = ended === "done" ? Math.max(0, reward.length - 1) : ticks;
  // Of a state that came apart the reward may be no number.
  const episodeReturn = reward.filter(Number.isFinite).reduce((sum, value) => sum + value, 0);
  return { survival: Math.min(1, lasted / ticks), episodeReturn };
}

/** Sums the episodes of each disturbance up, against those without one. */
export function reportOf(outcomes: ReadonlyMap<DisturbanceName, readonly Outcome[]>): RobustnessReport {
  const undisturbed = mean((outcomes.get("none") ?? []).map(({ episodeReturn }) => episodeReturn));
  const trials = Array.from(outcomes, ([disturbance, some]) => {
    const part = mean(some.map(({ episodeReturn }) => episodeReturn)) / undisturbed;
    return {
      disturbance,
      survival: mean(some.map(({ survival }) => survival)),
      relativeReturn: undisturbed > 0 ? Math.min(mostRelativeReturn, Math.max(0, part)) : null,
    };
  });
  return { trials };
}

function mean(values: readonly number[]): number {
  return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : 0;
}
