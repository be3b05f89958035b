import { createStore, type Store } from "./store";

/** How long a deletion can be taken back, in milliseconds. */
export const UNDO_MS = 8_000;

/** A deletion that a person asked for and may still take back. */
export interface Pending {
  /** Distinguishes it from those before. */
  readonly number: number;
  /** What was deleted, such as `Version 3 of go1-dance deleted`. */
  readonly text: string;
}

/** Deletions that wait a while before they are carried out, so that a slip of the hand costs nothing. */
export interface Undo {
  /** The newest deletion that can be taken back; undefined when there is none. */
  readonly pending: Store<Pending | undefined>;
  /**
   * Has `commit` called in a while, unless the person takes it back; then `restore` is called. An earlier deletion that waits is carried
   * out at once. The caller takes the thing off the page, and puts it back in `restore` or when `commit` fails.
   */
  offer(text: string, commit: () => void, restore: () => void): void;
  /** Takes the newest deletion back. */
  takeBack(): void;
  /** Carries out what waits, at once: when the page is left. */
  settle(): void;
}

export function createUndo(delayMs = UNDO_MS): Undo {
  const pending = createStore<Pending | undefined>(undefined);
  let waiting: { readonly commit: () => void; readonly restore: () => void } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let count = 0;

  function end() {
    clearTimeout(timer);
    const ended = waiting;
    waiting = undefined;
    pending.set(undefined);
    return ended;
  }

  return {
    pending,
    offer(text, commit, restore) {
      end()?.commit();
      waiting = { commit, restore };
      count += 1;
      pending.set({ number: count, text });
      timer = setTimeout(() => end()?.commit(), delayMs);
    },
    takeBack: () => end()?.restore(),
    settle: () => end()?.commit(),
  };
}
