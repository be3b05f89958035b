import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Clients } from "../rpc/clients";
import { failureFrom } from "../rpc/failure";
import { createRequestIds } from "../rpc/requestId";
import { advanced, type Generation, NOT_WRITTEN } from "./generation";
import { createStore, type Store } from "./store";

const DEADLINE_MS = 300_000;

/** The next reward, written after what was seen of one before it. */
export interface Improvement extends Generation {
  /** Run whose outcome was looked at; empty for none. */
  readonly runId: string;
  /** The reward that is improved on. */
  readonly before?: Reward;
  /** What came of it. */
  readonly after?: Reward;
}

/** What the next reward is to be written after. */
export interface Seen {
  readonly before: Reward;
  readonly runId: string;
  /** What was measured of the trained robot, by name. */
  readonly measures: Readonly<Record<string, number>>;
  /** What the person says of it; may be empty. */
  readonly remark: string;
}

/** Writes the next reward after what came of one. */
export interface Improver {
  readonly store: Store<Improvement>;
  improve(seen: Seen): Promise<void>;
  cancel(): void;
  clear(): void;
}

const NONE: Improvement = { ...NOT_WRITTEN, runId: "" };

export function createImprover(rewards: Clients["rewards"]): Improver {
  const store = createStore<Improvement>(NONE);
  const requestIds = createRequestIds();
  let attempt: AbortController | undefined;

  return {
    store,
    async improve({ before, runId, measures, remark }) {
      attempt?.abort();
      const mine = new AbortController();
      attempt = mine;
      const begun: Improvement = { ...NONE, status: "working", message: "Looking at what came of it", runId, before };
      store.set(begun);
      try {
        const { rewardId } = before;
        const asked = { rewardId, runId, measures: { ...measures }, remark: remark.trim() };
        const request = { ...asked, requestId: requestIds.idFor(JSON.stringify(asked)) };
        const options = { signal: mine.signal, timeoutMs: DEADLINE_MS };
        let after: Reward | undefined;
        for await (const response of rewards.improveReward(request, options)) {
          if (attempt !== mine) return;
          if (response.event.case === "reward") after = response.event.value;
          else store.set((now) => ({ ...now, ...advanced(now, response) }));
        }
        if (attempt !== mine) return;
        if (!after) throw new Error("the stream ended before the reward came");
        const made = after;
        requestIds.done();
        store.set((now) => ({ ...now, status: "done", after: made }));
      } catch (thrown) {
        if (attempt !== mine) return;
        const failure = failureFrom(thrown);
        store.set((now) => (mine.signal.aborted ? NONE : { ...now, status: "failed", failure }));
      }
    },
    cancel() {
      attempt?.abort();
      requestIds.done();
    },
    clear() {
      attempt?.abort();
      requestIds.done();
      attempt = undefined;
      store.set(NONE);
    },
  };
}
