import { useState } from "react";
import { type Failure, failureFrom } from "../rpc/failure";

/** One thing after the other that a person has the service do, and why the last one failed. */
export interface Action {
  readonly busy: boolean;
  readonly failure: Failure | undefined;
  /** Whether it went well. */
  run(work: () => Promise<void>): Promise<boolean>;
  dismiss(): void;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  return {
    busy,
    failure,
    async run(work) {
      setBusy(true);
      setFailure(undefined);
      try {
        await work();
        return true;
      } catch (thrown) {
        setFailure(failureFrom(thrown));
        return false;
      } finally {
        setBusy(false);
      }
    },
    dismiss: () => setFailure(undefined),
  };
}
