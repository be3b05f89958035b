import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RunSpecSchema } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { StudioState } from "../studio/useStudio";

export type RunSpecInit = MessageInitShape<typeof RunSpecSchema>;

/** How long to practise, as a multiple of what the environment's defaults say. */
export const LENGTHS = [
  { name: "Short", factor: 0.25 },
  { name: "Standard", factor: 1 },
  { name: "Long", factor: 4 },
] as const;

export type LengthName = (typeof LENGTHS)[number]["name"];

export interface Choice {
  readonly length: LengthName;
  readonly seed: number;
}

/** What would be trained; undefined while there is no goal. `standardSteps` is absent until an estimate has told it. */
export function specOf(
  { environmentId, goal, weights }: Pick<StudioState, "environmentId" | "goal" | "weights">,
  { length, seed }: Choice,
  standardSteps: bigint | undefined,
): RunSpecInit | undefined {
  if (goal.kind === "none") return undefined;
  const factor = LENGTHS.find(({ name }) => name === length)?.factor ?? 1;
  const envSteps =
    factor === 1 || standardSteps === undefined
      ? undefined
      : BigInt(Math.max(1000, Math.round(Number(standardSteps) * factor)));
  const settings = { seed, ...(envSteps === undefined ? {} : { envSteps }) };
  if (goal.kind === "own") return { environmentId, settings, title: "" };
  const { rewardId, program, onnx, prompt, terms } = goal.reward;
  return {
    environmentId,
    settings,
    title: prompt,
    reward: {
      rewardId,
      programSha256: program?.sha256 ?? "",
      onnxSha256: onnx?.sha256 ?? "",
      weights: Object.fromEntries(terms.map(({ name, weight }) => [name, weights[name] ?? weight])),
    },
  };
}

/** Whether a run trains exactly this goal with these weights. */
export function trainsSame(spec: RunSpecInit | undefined, run: RunSpecInit | undefined): boolean {
  if (!spec || !run) return false;
  if (spec.reward?.rewardId !== run.reward?.rewardId) return false;
  const theirs = run.reward?.weights ?? {};
  return Object.entries(spec.reward?.weights ?? {}).every(([name, weight]) => (theirs[name] ?? 1) === weight);
}
