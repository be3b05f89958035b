import { type Failure, failureFrom } from "../rpc/failure";
import { createStore, type Store } from "./store";
import type { Undo } from "./undo";

/** Things that a person deleted, by keys of the callers' choice: off the page at once, carried out once they cannot be taken back. */
export interface Deletions {
  /** Keys of what is deleted, or about to be. */
  readonly gone: Store<ReadonlySet<string>>;
  /** Why something is back on the page: the service refused. */
  readonly failures: Store<ReadonlyMap<string, Failure>>;
  /** Takes the thing off the page, and has `commit` called unless the person takes it back; it comes back when that fails. */
  offer(key: string, text: string, commit: () => Promise<void>): void;
  /** Takes the deletion back while that can be done; for who needs the thing again. */
  withdraw(key: string): void;
  /** Forgets a failure. */
  dismiss(key: string): void;
}

export function createDeletions(undo: Undo): Deletions {
  const gone = createStore<ReadonlySet<string>>(new Set());
  const failures = createStore<ReadonlyMap<string, Failure>>(new Map());
  const hide = (key: string) => gone.set((before) => new Set(before).add(key));
  const show = (key: string) => gone.set((before) => new Set([...before].filter((each) => each !== key)));
  const dismiss = (key: string) => failures.set((before) => new Map([...before].filter(([each]) => each !== key)));

  /** Key of what can still be taken back: the newest. */
  let waiting: string | undefined;

  async function carryOut(key: string, commit: () => Promise<void>): Promise<void> {
    if (waiting === key) waiting = undefined;
    try {
      await commit();
    } catch (thrown) {
      const failure = failureFrom(thrown);
      failures.set((before) => new Map(before).set(key, failure));
    }
    // What is gone from the service is gone from its lists by now; what was refused is back.
    show(key);
  }

  return {
    gone,
    failures,
    offer(key, text, commit) {
      dismiss(key);
      hide(key);
      undo.offer(
        text,
        () => void carryOut(key, commit),
        () => show(key),
      );
      waiting = key;
    },
    withdraw(key) {
      if (waiting === key && gone.get().has(key)) undo.takeBack();
    },
    dismiss,
  };
}
