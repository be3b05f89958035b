import { toSentence } from "../format/format";
import {
  type Diagnostic,
  type GenerateRewardResponse,
  type GenerationPhase,
  type GenerationRepair,
  type ImproveRewardResponse,
  GenerationPhase as Phase,
  type Reward,
} from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom, localFailure } from "../rpc/failure";
import { createRequestIds, newRequestId } from "../rpc/requestId";
import { createStore, type Store, useStore } from "./store";

/** Longest prompt that the contract takes, in characters. */
export const MAX_PROMPT_CHARS = 4000;
/** Longest reward source that the contract takes, in bytes. */
const MAX_SOURCE_BYTES = 32_768;

const GENERATE_DEADLINE_MS = 300_000;
const COMPILE_DEADLINE_MS = 60_000;

/** Where the writing of a reward stands. */
export interface Generation {
  readonly status: "idle" | "working" | "done" | "failed";
  readonly phase: GenerationPhase;
  /** The stage in the service's words. */
  readonly message: string;
  /** Source as far as it has been written. */
  readonly source: string;
  readonly repairs: readonly GenerationRepair[];
  readonly failure?: Failure;
}

/** Before anything is written. */
export const NOT_WRITTEN: Generation = {
  status: "idle",
  phase: Phase.UNSPECIFIED,
  message: "",
  source: "",
  repairs: [],
};

/** The reward that is written for one environment. */
export interface RewardGeneration extends Generation {
  /** Empty before anything is written. */
  readonly environmentId: string;
  /** What was written, until a studio has taken it. */
  readonly reward?: Reward;
}

const NONE: RewardGeneration = { ...NOT_WRITTEN, environmentId: "" };

/** Writes and checks rewards, one at a time. */
export interface RewardWriter {
  readonly generation: Store<RewardGeneration>;
  /** Writes a reward; undefined when it failed or was called off (the store says why). */
  generate(environmentId: string, prompt: string, model: string): Promise<Reward | undefined>;
  /** A studio shows what was written. */
  taken(): void;
  cancel(): void;
  /** Forgets what was written last, or why it was not. */
  clear(): void;
  /** Seals edited source; the weights of terms that it has no more are left out. Throws a Failure. */
  compile(environmentId: string, source: string, weights: Record<string, number>, prompt: string): Promise<Reward>;
}

/** The reward that is written for this environment; nothing where another one's is. */
export function useGeneration({ generation }: RewardWriter, environmentId: string): RewardGeneration {
  const now = useStore(generation);
  return now.environmentId === environmentId ? now : NONE;
}

/** What is wrong with a prompt, before it is sent; undefined when nothing is. */
export function promptProblem(prompt: string): string | undefined {
  const length = [...prompt.trim()].length;
  if (length === 0) return "Say in a few words what the robot should do.";
  if (length > MAX_PROMPT_CHARS) {
    return `That is ${length.toLocaleString("en")} characters; at most ${MAX_PROMPT_CHARS.toLocaleString("en")} fit. Keep to what matters.`;
  }
  return undefined;
}

/** A writer over the RewardGen service. */
export function createRewardWriter(rewards: Clients["rewards"]): RewardWriter {
  const generation = createStore<RewardGeneration>(NONE);
  const requestIds = createRequestIds();
  let attempt: AbortController | undefined;

  return {
    generation,
    async generate(environmentId, prompt, model) {
      attempt?.abort();
      const problem = promptProblem(prompt);
      if (problem) {
        generation.set({ ...NONE, environmentId, status: "failed", failure: localFailure("prompt", problem) });
        return undefined;
      }
      const mine = new AbortController();
      attempt = mine;
      generation.set({ ...NONE, environmentId, status: "working", message: "Sending the prompt" });
      try {
        const asked = { environmentId, prompt: prompt.trim(), model };
        const request = { ...asked, requestId: requestIds.idFor(JSON.stringify(asked)) };
        const options = { signal: mine.signal, timeoutMs: GENERATE_DEADLINE_MS };
        let reward: Reward | undefined;
        for await (const response of rewards.generateReward(request, options)) {
          if (response.event.case === "reward") reward = response.event.value;
          else generation.set((now) => ({ ...now, ...advanced(now, response) }));
        }
        if (mine.signal.aborted) return undefined;
        const made = reward;
        if (!made) throw new Error("the stream ended before the reward came");
        requestIds.done();
        generation.set((now) => ({ ...now, status: "done", reward: made }));
        return made;
      } catch (thrown) {
        if (attempt !== mine) return undefined;
        const failure = failureFrom(thrown);
        generation.set((now) => (mine.signal.aborted ? NONE : { ...now, status: "failed", failure }));
        return undefined;
      }
    },
    taken: () => generation.set(({ reward: _, ...now }) => now),
    cancel() {
      attempt?.abort();
      requestIds.done();
    },
    clear() {
      attempt?.abort();
      requestIds.done();
      generation.set(NONE);
    },
    async compile(environmentId, source, weights, prompt) {
      if (source.trim() === "")
        throw localFailure("source:1:1", "The reward needs a function `reward(state, action)`.");
      if (new TextEncoder().encode(source).length > MAX_SOURCE_BYTES) {
        throw localFailure("source", "The source is longer than 32 KiB; shorten it.");
      }
      let kept = weights;
      for (;;) {
        try {
          const request = { environmentId, source, weights: kept, prompt, requestId: newRequestId() };
          const { reward } = await rewards.compileReward(request, { timeoutMs: COMPILE_DEADLINE_MS });
          if (!reward) throw new Error("the answer holds no reward");
          return reward;
        } catch (thrown) {
          const failure = failureFrom(thrown);
          const fewer = withoutUnknown(kept, failure);
          if (Object.keys(fewer).length === Object.keys(kept).length) throw failure;
          kept = fewer;
        }
      }
    },
  };
}

/** The weights but those that a refused CompileReward names as no term of the source, from violations `weights.TERM`. */
function withoutUnknown(weights: Readonly<Record<string, number>>, { fields }: Failure): Record<string, number> {
  const unknown = new Set(fields.map(({ field }) => field));
  return Object.fromEntries(Object.entries(weights).filter(([term]) => !unknown.has(`weights.${term}`)));
}

/** What stands after one more step of the writing. */
export function advanced(
  now: Generation,
  { event }: Pick<GenerateRewardResponse | ImproveRewardResponse, "event">,
): Generation {
  switch (event.case) {
    case "stage": {
      const { phase, message } = event.value;
      // Who begins to write begins at the first line, whatever the one before had written.
      return { ...now, phase, message, source: phase === Phase.WRITING ? "" : now.source };
    }
    case "sourceDelta":
      return { ...now, source: now.source + event.value };
    case "repair":
      return { ...now, source: "", repairs: [...now.repairs, event.value] };
    default:
      return now;
  }
}

/** A place in reward source that was found wrong. */
export interface SourceProblem {
  /** From 1; 0 when no single line is to blame. */
  readonly line: number;
  /** From 1; 0 when no single column is to blame. */
  readonly column: number;
  readonly message: string;
  readonly severity: "error" | "warning";
}

/** The places that a refused CompileReward names, from violations `source:LINE:COLUMN`. */
export function problemsOf(failure: Failure): SourceProblem[] {
  return failure.fields.flatMap(({ field, description }) => {
    const place = /^source(?::(\d+)(?::(\d+))?)?$/.exec(field);
    if (!place) return [];
    const [, line = "0", column = "0"] = place;
    return [{ line: Number(line), column: Number(column), message: description, severity: "error" as const }];
  });
}

/** A diagnostic as a place in the source. */
export function problemOf({ line, column, message, suggestion }: Diagnostic): SourceProblem {
  // A message that begins with the name of a rule is taken apart where it is shown.
  const what = /^[a-z]+(-[a-z]+)+: /.test(message) ? message : toSentence(message);
  const text = suggestion ? `${what} ${toSentence(suggestion)}` : what;
  return { line, column, message: text, severity: "warning" };
}
