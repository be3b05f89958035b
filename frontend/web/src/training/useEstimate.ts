import { useEffect, useState } from "react";
import { useSession } from "../app/session";
import type { EstimateRunResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import { askAgainMs, type Failure, failureFrom } from "../rpc/failure";
import { type RunSpecInit, specKey } from "./spec";

const SETTLE_MS = 250;

export interface EstimateState {
  readonly value?: EstimateRunResponse;
  readonly failure?: Failure;
  retry(): void;
}

/** The estimate for a run, asked for again a moment after it or the occasion changes. The last one stays until the next is there. */
export function useEstimate(spec: RunSpecInit | undefined, occasion: string): EstimateState {
  const { clients } = useSession();
  const [value, setValue] = useState<EstimateRunResponse>();
  const [failure, setFailure] = useState<Failure>();
  const [attempt, setAttempt] = useState(0);
  const key = spec ? specKey(spec) : "";

  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the spec, the occasion and the attempt are what triggers it
  useEffect(() => {
    if (!spec) return;
    const controller = new AbortController();
    let timer = setTimeout(ask, SETTLE_MS);
    async function ask() {
      try {
        setValue(await clients.trainer.estimateRun(spec ? { spec } : {}, { signal: controller.signal }));
        setFailure(undefined);
      } catch (thrown) {
        if (controller.signal.aborted) return;
        const problem = failureFrom(thrown);
        setFailure(problem);
        const delayMs = askAgainMs(problem);
        if (delayMs !== undefined) timer = setTimeout(ask, delayMs);
      }
    }
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [clients, key, occasion, attempt]);

  return {
    ...(value && spec ? { value } : {}),
    ...(failure && spec ? { failure } : {}),
    retry: () => setAttempt(attempt + 1),
  };
}
