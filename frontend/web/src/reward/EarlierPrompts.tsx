import { useEffect } from "react";
import { useSession } from "../app/session";
import { formatAgo } from "../format/format";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { useResource } from "../stores/resource";
import styles from "./EarlierPrompts.module.css";

/** How many are offered; those before are in the history of rewards. */
const SHOWN = 8;

interface EarlierPromptsProps {
  readonly environmentId: string;
  /** The newest reward of this page, with which the list changes. */
  readonly rewardId: string;
  readonly onChoose: (prompt: string) => void;
}

/** What was asked of this robot before, newest first; choosing one puts it into the field. */
export function EarlierPrompts({ environmentId, rewardId, onChoose }: EarlierPromptsProps) {
  const { rewardLists } = useSession();
  const listed = useResource(rewardLists, environmentId);
  const known = listed.value?.items.some((reward) => reward.rewardId === rewardId) ?? true;
  useEffect(() => {
    if (rewardId && !known) rewardLists.reload(environmentId);
  }, [rewardLists, environmentId, rewardId, known]);

  const prompts = distinct(listed.value?.items ?? []).slice(0, SHOWN);
  // Its room is kept, so that nothing below moves when it comes.
  if (prompts.length === 0) return <div className={styles.room} />;
  return (
    <details className={styles.earlier} data-testid="earlier-prompts">
      <summary>What was asked of this robot before</summary>
      <ul>
        {prompts.map(({ prompt, createTime }) => (
          <li key={prompt}>
            <button type="button" onClick={() => onChoose(prompt)} data-testid="earlier-prompt">
              <span>{prompt}</span>
              <small>{formatAgo(createTime, Date.now())}</small>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** The newest reward for each wording. */
function distinct(rewards: readonly Reward[]): readonly Reward[] {
  const seen = new Set<string>();
  return rewards.filter(({ prompt }) => {
    if (prompt === "" || seen.has(prompt)) return false;
    seen.add(prompt);
    return true;
  });
}
