import type { ApproachFailure, GenerateApproachesResponse, Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { GenerationPhase as Phase } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom, localFailure } from "../rpc/failure";
import { newRequestId } from "../rpc/requestId";
import { promptProblem } from "./generation";
import { type Kept, keptInTab } from "./kept";
import { createStore, type Store, useStore } from "./store";

/** How many ways to the same wish are written side by side. */
const APPROACHES = 3;

/** Several rewards take as long as the slowest of them, repairs included. */
const DEADLINE_MS = 300_000;
const MEMORY_KEY = "tabrl.approaches";

/** One of several rewards for the same words. */
export interface Approach {
  /** From 1. */
  readonly number: number;
  readonly status: "working" | "sealed" | "same" | "failed";
  /** Its stage in the service's words. */
  readonly message: string;
  /** Its source as far as it has been written. */
  readonly source: string;
  /** How often it was sent back. */
  readonly repairs: number;
  readonly reward?: Reward;
  /** The approach that it came out the same as; 0 for none. */
  readonly sameAs: number;
  readonly failure?: ApproachFailure;
}

/** Several rewards for the same words, as far as they are written. */
export interface ApproachSet {
  readonly status: "idle" | "working" | "done" | "failed";
  readonly environmentId: string;
  readonly prompt: string;
  readonly approaches: readonly Approach[];
  readonly failure?: Failure;
}

const NONE: ApproachSet = { status: "idle", environmentId: "", prompt: "", approaches: [] };

/** What has to be remembered to ask for the same approaches again: their request id brings those that are kept. */
interface Request {
  readonly environmentId: string;
  readonly prompt: string;
  readonly model: string;
  readonly requestId: string;
}

/** Writes several rewards side by side. */
export interface ApproachWriter {
  readonly store: Store<ApproachSet>;
  write(environmentId: string, prompt: string, model: string): Promise<void>;
  /** Writes again what failed; what is there stays. */
  retry(): Promise<void>;
  /** Brings back what this tab asked for before it was reloaded, if that was for this environment. */
  resume(environmentId: string): void;
  cancel(): void;
  /** Puts them away. */
  clear(): void;
}

/** The rewards that are written for this environment; none where another one's are. */
export function useApproaches({ store }: ApproachWriter, environmentId: string): ApproachSet {
  const set = useStore(store);
  return set.environmentId === environmentId ? set : NONE;
}

/** A writer over the RewardGen service; `memory` outlives a reload of the page. */
export function createApproachWriter(rewards: Clients["rewards"], memory: Kept = keptInTab): ApproachWriter {
  const store = createStore<ApproachSet>(NONE);
  let attempt: AbortController | undefined;
  let last: Request | undefined;

  async function ask(request: Request): Promise<void> {
    attempt?.abort();
    const mine = new AbortController();
    attempt = mine;
    last = request;
    memory.write(MEMORY_KEY, JSON.stringify(request));
    const { environmentId, prompt } = request;
    const approaches = Array.from({ length: APPROACHES }, (_, index) => waiting(index + 1));
    store.set({ status: "working", environmentId, prompt, approaches });
    try {
      const options = { signal: mine.signal, timeoutMs: DEADLINE_MS };
      for await (const response of rewards.generateApproaches({ ...request, count: APPROACHES }, options)) {
        if (attempt !== mine) return;
        store.set((now) => ({ ...now, approaches: now.approaches.map((each) => told(each, response)) }));
      }
      if (attempt === mine) store.set((now) => ({ ...now, status: "done" }));
    } catch (thrown) {
      if (attempt !== mine) return;
      if (mine.signal.aborted) return store.set(halted);
      const failure = failureFrom(thrown);
      store.set((now) => ({ ...halted(now), status: "failed", failure }));
    }
  }

  return {
    store,
    async write(environmentId, prompt, model) {
      const problem = promptProblem(prompt);
      if (!problem) return ask({ environmentId, prompt: prompt.trim(), model, requestId: newRequestId() });
      store.set({ ...NONE, status: "failed", environmentId, failure: localFailure("prompt", problem) });
    },
    retry: async () => last && ask(last),
    resume(environmentId) {
      const request = remembered(memory.read(MEMORY_KEY));
      if (store.get().status === "idle" && request?.environmentId === environmentId) void ask(request);
    },
    cancel() {
      attempt?.abort();
      // What was called off is not asked for again by itself.
      memory.write(MEMORY_KEY, "");
    },
    clear() {
      attempt?.abort();
      attempt = undefined;
      memory.write(MEMORY_KEY, "");
      store.set(NONE);
    },
  };
}

function waiting(number: number): Approach {
  return { number, status: "working", message: "", source: "", repairs: 0, sameAs: 0 };
}

/** What stands when the writing is called off: those that are sealed. */
function halted(now: ApproachSet): ApproachSet {
  const approaches = now.approaches.filter(({ status }) => status !== "working");
  return approaches.length === 0 ? NONE : { ...now, status: "done", approaches };
}

function told(now: Approach, { approach, event }: GenerateApproachesResponse): Approach {
  if (approach !== now.number) return now;
  switch (event.case) {
    case "stage":
      return {
        ...now,
        message: event.value.message,
        source: event.value.phase === Phase.WRITING ? "" : now.source,
      };
    case "sourceDelta":
      return { ...now, source: now.source + event.value };
    case "repair":
      return { ...now, source: "", repairs: now.repairs + 1 };
    case "reward":
      return { ...now, status: "sealed", reward: event.value };
    case "sameAs":
      return { ...now, status: "same", sameAs: event.value };
    case "failure":
      return { ...now, status: "failed", failure: event.value };
    default:
      return now;
  }
}

function remembered(text: string): Request | undefined {
  try {
    const { environmentId, prompt, model, requestId } = JSON.parse(text || "{}") as Partial<Request>;
    if (!environmentId || !prompt || !requestId) return undefined;
    return { environmentId, prompt, model: model ?? "", requestId };
  } catch {
    return undefined;
  }
}
