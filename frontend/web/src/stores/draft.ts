import { useCallback, useEffect, useRef, useState } from "react";
import { keptInTab } from "./kept";

const PREFIX = "tabrl.draft.";

/** Writes a draft anew, or changes it from what it is by now: several changes may come before anything is drawn again. */
export type WriteDraft = (text: string | ((before: string) => string)) => void;

/** A text that a person is writing, such as the prompt of one environment (`prompt.CartpoleBalance`): it survives a reload of the tab. An empty one is forgotten. */
export function useDraft(key: string): readonly [text: string, write: WriteDraft] {
  const [draft, setDraft] = useState(() => ({ key, text: keptInTab.read(PREFIX + key) }));
  const present = draft.key === key ? draft : { key, text: keptInTab.read(PREFIX + key) };
  const newest = useRef(present);
  newest.current = present;
  useEffect(
    () => setDraft((before) => (before.key === key ? before : { key, text: keptInTab.read(PREFIX + key) })),
    [key],
  );
  const write: WriteDraft = useCallback(
    (change) => {
      const before = newest.current.key === key ? newest.current.text : keptInTab.read(PREFIX + key);
      const text = typeof change === "string" ? change : change(before);
      newest.current = { key, text };
      keptInTab.write(PREFIX + key, text);
      setDraft(newest.current);
    },
    [key],
  );
  return [present.text, write];
}

/** An original that a person may write over. The draft survives a reload of the tab; that all was deleted lasts as long as the page does. */
export interface Overwritten {
  /** The draft where there is one, else the original. */
  readonly text: string;
  readonly write: (text: string) => void;
  /** Goes back to the original. */
  readonly discard: () => void;
}

/** A draft over an original, such as an edit of a reward's source. */
export function useDraftOver(key: string, original: string): Overwritten {
  const [draft, setDraft] = useDraft(key);
  // A draft without a letter is none, so what a person emptied is told apart here: they are about to write something else.
  const [emptied, setEmptied] = useState("");
  return {
    text: draft || (emptied === key ? "" : original),
    write(text) {
      setDraft(text);
      setEmptied(text === "" ? key : "");
    },
    discard() {
      setDraft("");
      setEmptied("");
    },
  };
}
