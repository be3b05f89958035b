import { useEffect, useState } from "react";
import { keptInTab } from "./kept";

const PREFIX = "tabrl.draft.";

/** A text that a person is writing, such as the prompt of one environment (`prompt.CartpoleBalance`): it survives a reload of the tab. An empty one is forgotten. */
export function useDraft(key: string): readonly [text: string, write: (text: string) => void] {
  const [draft, setDraft] = useState(() => ({ key, text: keptInTab.read(PREFIX + key) }));
  const present = draft.key === key ? draft : { key, text: keptInTab.read(PREFIX + key) };
  useEffect(
    () => setDraft((before) => (before.key === key ? before : { key, text: keptInTab.read(PREFIX + key) })),
    [key],
  );
  return [
    present.text,
    (text) => {
      keptInTab.write(PREFIX + key, text);
      setDraft({ key, text });
    },
  ];
}
