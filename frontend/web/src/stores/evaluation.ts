import type { EpisodeResult, EvaluationSummary } from "../gen/tabrl/inference/v1/inference_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { createStore, type Store } from "./store";

/** Episodes of one measurement. */
export const EVALUATION_EPISODES = 5;
const EVALUATION_DEADLINE_MS = 120_000;

/** The measurement of one policy on the server. */
export interface Evaluation {
  readonly status: "running" | "done" | "failed";
  readonly episodes: readonly EpisodeResult[];
  readonly summary?: EvaluationSummary;
  readonly failure?: Failure;
}

/** Measurements by policy id. */
export interface Evaluations {
  readonly store: Store<ReadonlyMap<string, Evaluation>>;
  /** Measures a policy unless that is done or under way. */
  ensure(policyId: string): void;
  /** Measures a policy (again). */
  run(policyId: string): Promise<void>;
}

/** Measurements over the Inference service. */
export function createEvaluations(inference: Clients["inference"]): Evaluations {
  const store = createStore<ReadonlyMap<string, Evaluation>>(new Map());
  const write = (policyId: string, change: (before: Evaluation) => Evaluation) =>
    store.set((map) => new Map(map).set(policyId, change(map.get(policyId) ?? { status: "running", episodes: [] })));

  async function run(policyId: string): Promise<void> {
    write(policyId, () => ({ status: "running", episodes: [] }));
    try {
      const request = { policyId, episodes: EVALUATION_EPISODES, seed: 0 };
      for await (const { update } of inference.evaluate(request, { timeoutMs: EVALUATION_DEADLINE_MS })) {
        if (update.case === "episode") {
          const episode = update.value;
          write(policyId, (before) => ({ ...before, episodes: [...before.episodes, episode] }));
        }
        if (update.case === "summary") {
          const summary = update.value;
          write(policyId, (before) => ({ ...before, status: "done", summary }));
        }
      }
    } catch (thrown) {
      const failure = failureFrom(thrown);
      write(policyId, (before) => ({ ...before, status: "failed", failure }));
    }
  }

  return {
    store,
    ensure(policyId) {
      if (!store.get().has(policyId)) void run(policyId);
    },
    run,
  };
}
