import { useEffect, useState } from "react";
import { useSession } from "../app/session";
import type { EstimateRunResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import { type Failure, failureFrom } from "../rpc/failure";
import type { RunSpecInit } from "./spec";

const SETTLE_MS = 250;

export interface EstimateState {
  readonly value?: EstimateRunResponse;
  readonly failure?: Failure;
  retry(): void;
}

/** The estimate for a run, asked for again a moment after it changes. The last one stays until the next is there. */
export function useEstimate(spec: RunSpecInit | undefined): EstimateState {
  const { clients } = useSession();
  const [value, setValue] = useState<EstimateRunResponse>();
  const [failure, setFailure] = useState<Failure>();
  const [attempt, setAttempt] = useState(0);
  const key = spec ? JSON.stringify(spec, (_, part) => (typeof part === "bigint" ? String(part) : part)) : "";

  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the spec
  useEffect(() => {
    if (!spec) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setValue(await clients.trainer.estimateRun({ spec }, { signal: controller.signal }));
        setFailure(undefined);
      } catch (thrown) {
        if (!controller.signal.aborted) setFailure(failureFrom(thrown));
      }
    }, SETTLE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [clients, key, attempt]);

  return { ...(value ? { value } : {}), ...(failure ? { failure } : {}), retry: () => setAttempt(attempt + 1) };
}
