import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type EstimateRunResponse,
  Executor,
  type RunSpec,
  type RunSpecSchema,
} from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Goal, StudioState } from "../studio/useStudio";
import type { TierName } from "./tiers";

export type RunSpecInit = MessageInitShape<typeof RunSpecSchema>;

/** How long to practise: from scratch as a multiple of what the environment's defaults say, on from a policy as one of a minute. */
export const LENGTHS = [
  { name: "Short", factor: 0.25, fineTuneFactor: 0.5 },
  { name: "Standard", factor: 1, fineTuneFactor: 1 },
  { name: "Long", factor: 4, fineTuneFactor: 4 },
] as const;

export type LengthName = (typeof LENGTHS)[number]["name"];

/** The GPU that is rented where training is not to run here. */
export const RENTED_GPU = "H100";

const FINE_TUNE_SECS = 60;
const LEAST_STEPS = 1000;

export interface Choice {
  readonly tier: TierName;
  readonly length: LengthName;
  readonly seed: number;
  /** Policy that fine-tuning goes on from; empty for none yet. */
  readonly startFrom: string;
  /** On a rented GPU instead of this machine. */
  readonly rented: boolean;
  /** Each copy of the robot and of the ground a little different. */
  readonly varied: boolean;
}

/** What an estimate of the environment's defaults tells, by which lengths are reckoned. */
export interface Practice {
  readonly standardSteps: number;
  readonly stepsPerSec: number;
}

export function practiceOf({ settings, envStepsPerSec }: EstimateRunResponse): Practice {
  return { standardSteps: Number(settings?.envSteps ?? 0n), stepsPerSec: envStepsPerSec };
}

type Wish = Pick<StudioState, "environmentId" | "goal" | "weights">;

/**
 * What would be trained; undefined while there is no goal, nothing to go on from, or nothing to train. `practice` is absent until an
 * estimate has told it.
 */
export function specOf(wish: Wish, choice: Choice, practice: Practice | undefined): RunSpecInit | undefined {
  const { environmentId, goal, weights } = wish;
  const { tier, seed, startFrom, rented, varied } = choice;
  if (goal.kind === "none" || tier === "command" || (tier === "fine-tune" && startFrom === "")) return undefined;
  const envSteps = stepsOf(choice, practice);
  const settings = {
    seed,
    ...(envSteps === undefined ? {} : { envSteps }),
    ...(varied ? { domainRandomization: true } : {}),
  };
  const shared = {
    environmentId,
    settings,
    ...(tier === "fine-tune" ? { startFrom: { policyId: startFrom } } : {}),
    ...(rented ? { compute: { executor: Executor.MODAL, gpu: RENTED_GPU } } : {}),
  };
  if (goal.kind === "own") return { ...shared, title: "" };
  const { rewardId, program, onnx, prompt, terms } = goal.reward;
  return {
    ...shared,
    title: prompt,
    reward: {
      rewardId,
      programSha256: program?.sha256 ?? "",
      onnxSha256: onnx?.sha256 ?? "",
      weights: Object.fromEntries(terms.map(({ name, weight }) => [name, weights[name] ?? weight])),
    },
  };
}

/** Steps of practice; undefined for the environment's default, or while nothing is known to reckon from. */
function stepsOf({ tier, length }: Choice, practice: Practice | undefined): bigint | undefined {
  if (!practice) return undefined;
  const { factor, fineTuneFactor } = LENGTHS.find(({ name }) => name === length) ?? LENGTHS[1];
  const { standardSteps, stepsPerSec } = practice;
  if (tier === "full") return factor === 1 ? undefined : atLeast(standardSteps * factor);
  // What this machine practises in about a minute, and no more than a training from scratch would.
  return atLeast(Number((Math.min(standardSteps, FINE_TUNE_SECS * stepsPerSec) * fineTuneFactor).toPrecision(2)));
}

function atLeast(steps: number): bigint {
  return BigInt(Math.max(LEAST_STEPS, Math.round(steps)));
}

/** A text that two specs share only when they ask for the same. */
export function specKey(spec: RunSpecInit): string {
  return JSON.stringify(spec, (_, part) => (typeof part === "bigint" ? String(part) : part));
}

/** Whether a run trains this goal with these weights, from wherever. */
export function sameGoal(spec: RunSpecInit | undefined, run: RunSpec | undefined): boolean {
  if (!spec || !run) return false;
  if (spec.reward?.rewardId !== run.reward?.rewardId) return false;
  const theirs = run.reward?.weights ?? {};
  return Object.entries(spec.reward?.weights ?? {}).every(([name, weight]) => (theirs[name] ?? 1) === weight);
}

/** Whether a run trains for something else than this goal, whatever the weights; not while there is no goal. */
export function forAnotherGoal(goal: Goal, run: RunSpec | undefined): boolean {
  if (!run || goal.kind === "none") return false;
  return goal.kind === "own" ? run.reward !== undefined : run.reward?.rewardId !== goal.reward.rewardId;
}
