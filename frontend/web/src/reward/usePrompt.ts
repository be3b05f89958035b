import { useEffect, useState } from "react";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { useDraft } from "../stores/draft";

/** The words in the box: what was typed for this robot, also before a reload; else those of the reward that is shown. */
export function usePrompt(
  environmentId: string,
  reward: Reward | undefined,
): readonly [prompt: string, write: (text: string) => void] {
  const [draft, setDraft] = useDraft(`prompt.${environmentId}`);
  const [emptied, setEmptied] = useState(false);

  // Words of which a reward was made are kept with it; another reward brings its own.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another reward is what triggers it
  useEffect(() => {
    setEmptied(false);
    if (reward && reward.prompt.trim() === draft.trim()) setDraft("");
  }, [reward]);

  return [
    draft || (emptied ? "" : (reward?.prompt ?? "")),
    (text) => {
      setDraft(text);
      setEmptied(text === "");
    },
  ];
}
