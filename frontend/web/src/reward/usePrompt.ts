import { useEffect } from "react";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { useDraftOver } from "../stores/draft";

/** The words in the box: what was typed for this robot, also before a reload; else those of the reward that is shown. */
export function usePrompt(
  environmentId: string,
  reward: Reward | undefined,
): readonly [prompt: string, write: (text: string) => void] {
  const { text, write, discard } = useDraftOver(`prompt.${environmentId}`, reward?.prompt ?? "");

  // Words of which a reward was made are kept with it; another reward brings its own.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another reward is what triggers it
  useEffect(() => {
    if (text === "" || text.trim() === reward?.prompt.trim()) discard();
  }, [reward]);

  return [text, write];
}
