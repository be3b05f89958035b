import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  GenerationPhase,
  type ModelSchema,
  type Reward,
  RewardOrigin,
  RewardSchema,
  RewardService,
} from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { pause } from "../rpc/reliability";
import { found, typedError } from "./typedError";

export const SOURCE = `def reward(state, action):
    pole = state.body("pole_1")
    upright = (pole.up[2] + 1) / 2
    cart = state.joint("slider").position
    return {
        "upright": upright,
        "centred": jnp.exp(-4.0 * cart**2),
        "effort": -0.05 * jnp.sum(action**2),
    }
`;

/** What the rewards in memory share with the rest of the backend. */
interface Surroundings {
  readonly rewards: Map<string, Reward>;
  readonly models: readonly MessageInitShape<typeof ModelSchema>[];
  readonly guard: () => void;
  readonly stepMs: number;
}

/** Rewards for the cartpole, written line by line, in memory. Words in the prompt decide what goes wrong. */
export function serveRewards({ service }: ConnectRouter, { rewards, models, guard, stepMs }: Surroundings): void {
  const seal = (
    environmentId: string,
    prompt: string,
    source: string,
    origin: RewardOrigin,
    model = "library",
  ): Reward => {
    const reward = create(RewardSchema, {
      rewardId: `reward-${rewards.size + 1}`,
      environmentId,
      prompt,
      origin,
      model: origin === RewardOrigin.PERSON ? "" : model,
      source,
      terms: [
        { name: "upright", weight: 1, explanation: "Highest when the pole points straight up.", line: 6 },
        { name: "centred", weight: 0.5, explanation: "Highest with the cart in the middle of the rail.", line: 7 },
        { name: "effort", weight: 1, explanation: "A small price for strong pushes.", line: 8 },
      ],
      explanation: "The pole is to stay upright near the middle of the rail, without wasting force.",
      leftOut: prompt.includes("swaying") ? ["swaying gently"] : [],
      program: { sha256: "a".repeat(64) },
      onnx: { sha256: "b".repeat(64) },
      createTime: timestampNow(),
    });
    rewards.set(reward.rewardId, reward);
    return reward;
  };

  service(RewardService, {
    listModels: () => {
      guard();
      return { models: [...models] };
    },
    async *generateReward({ environmentId, prompt, model }) {
      guard();
      if (model && !models.some(({ name }) => name === model)) {
        throw typedError(
          Code.FailedPrecondition,
          "MODEL_NOT_CONFIGURED",
          `the model '${model}' is not configured here`,
        );
      }
      if (prompt.includes("juggle")) {
        const metadata = { nearest: "balance" };
        throw typedError(
          Code.FailedPrecondition,
          "BEHAVIOUR_UNKNOWN",
          "the library does not know this behaviour",
          [],
          metadata,
        );
      }
      const stage = (phase: GenerationPhase, message: string) => ({
        event: { case: "stage" as const, value: { phase, message } },
      });
      yield stage(GenerationPhase.READING_ROBOT, "reading the robot");
      await pause(stepMs);
      yield stage(GenerationPhase.WRITING, "choosing from the library");
      for (const line of SOURCE.match(/.*\n/g) ?? []) {
        yield { event: { case: "sourceDelta" as const, value: line } };
        await pause(stepMs / 4);
      }
      yield stage(GenerationPhase.CHECKING, "checking the source");
      await pause(stepMs);
      yield stage(GenerationPhase.SEALING, "tracing in the jail");
      await pause(stepMs);
      const origin = model === "library" || model === "" ? RewardOrigin.LIBRARY : RewardOrigin.LLM;
      yield { event: { case: "reward" as const, value: seal(environmentId, prompt, SOURCE, origin, model) } };
    },
    async *generateApproaches({ environmentId, prompt, model, count }) {
      guard();
      if (prompt.includes("juggle")) throw typedError(Code.FailedPrecondition, "BEHAVIOUR_UNKNOWN", "unknown");
      const names = ["As asked", "Smooth", "All at once", "Again"];
      for (let approach = 1; approach <= count; approach++) {
        const value = { phase: GenerationPhase.WRITING, message: "choosing from the library" };
        yield { approach, event: { case: "stage" as const, value } };
        yield { approach, event: { case: "sourceDelta" as const, value: SOURCE } };
      }
      for (let approach = 1; approach <= count; approach++) {
        await pause(stepMs);
        if (prompt.includes("alike") && approach === 2) {
          yield { approach, event: { case: "sameAs" as const, value: 1 } };
        } else if (prompt.includes("broken") && approach === 3) {
          const value = { reason: "PROVIDER_TIMEOUT", message: "the model took too long." };
          yield { approach, event: { case: "failure" as const, value } };
        } else {
          const made = seal(environmentId, prompt, SOURCE, RewardOrigin.LIBRARY, model || "library");
          const named = { ...made, name: names[approach - 1] ?? "", expectedBehaviour: "It keeps the pole up." };
          rewards.set(made.rewardId, named);
          yield { approach, event: { case: "reward" as const, value: named } };
        }
      }
    },
    async *improveReward({ rewardId, remark }) {
      guard();
      const before = found(rewards.get(rewardId), "REWARD_NOT_FOUND", "reward");
      if (models.every(({ name }) => name === "library")) {
        throw typedError(Code.FailedPrecondition, "REFLECTION_NEEDS_LLM", "no LLM is configured");
      }
      const value = { phase: GenerationPhase.WRITING, message: "looking at the curves" };
      yield { event: { case: "stage" as const, value } };
      await pause(stepMs);
      const source = before.source.replace("-0.05", "-0.5");
      const made = seal(before.environmentId, before.prompt, source, RewardOrigin.LLM, "first/large");
      const terms = made.terms.map((term) => (term.name === "effort" ? { ...term, weight: 3 } : term));
      const after = { ...made, terms, explanation: `Because ${remark}`, parentRewardId: rewardId };
      rewards.set(after.rewardId, after);
      yield { event: { case: "reward" as const, value: after } };
    },
    compileReward: ({ environmentId, source, prompt, weights }) => {
      guard();
      const line = source.split("\n").findIndex((text) => text.includes("import")) + 1;
      if (line > 0) {
        throw typedError(Code.InvalidArgument, "REWARD_REJECTED", "the source breaks a rule", [
          [`source:${line}:1`, "import-forbidden: nothing can be imported; `jnp` and `state` are there already"],
        ]);
      }
      const unknown = Object.keys(weights).filter((term) => !source.includes(`"${term}"`));
      if (unknown.length > 0) {
        const violations = unknown.map((term): [string, string] => [`weights.${term}`, "the reward has no such term"]);
        throw typedError(Code.InvalidArgument, "INVALID_FIELD", "the reward has no such term", violations);
      }
      return { reward: seal(environmentId, prompt, source, RewardOrigin.PERSON) };
    },
    getReward: ({ rewardId }) => ({ reward: found(rewards.get(rewardId), "REWARD_NOT_FOUND", "reward") }),
    listRewards: () => ({ rewards: [...rewards.values()].reverse() }),
  });
}
