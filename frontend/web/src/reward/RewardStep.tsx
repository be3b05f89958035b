import { useSession } from "../app/session";
import { formatAnswerCost, formatPercent } from "../format/format";
import { type Reward, RewardOrigin } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Timing } from "../gen/tabrl/scene/v1/scene_pb";
import { useGeneration } from "../stores/generation";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./RewardStep.module.css";
import { SourcePanel } from "./SourcePanel";
import { Terms } from "./Terms";

interface RewardStepProps {
  readonly studio: StudioState;
  readonly highlighted: string;
  readonly onHighlight: (term: string) => void;
}

/** Step 2: the reward that was made of the words, to be read, weighed and edited. */
export function RewardStep({ studio, highlighted, onHighlight }: RewardStepProps) {
  const { rewards, writer } = useSession();
  const generation = useGeneration(writer, studio.environmentId);
  const { goal, reward: loaded } = studio;
  const writing = generation.status === "working" && generation.source !== "";
  const state = goal.kind === "none" ? (writing ? "now" : "later") : "done";

  return (
    <Step
      reveal={writing ? "writing" : generation.status === "done" ? studio.rewardId : ""}
      number={2}
      title="Read the reward"
      state={state}
      intro={intro(goal.kind, studio.environment.value?.timing)}
      aside={goal.kind === "reward" && <Origin reward={goal.reward} />}
    >
      {loaded.failure && !loaded.value && (
        <FailureNotice
          failure={loaded.failure}
          onRetry={() => rewards.reload(studio.rewardId)}
          wayOn={{ label: "Go on without it", take: studio.goOnWithoutReward }}
        />
      )}
      {writing && <SourcePanel key="writing" source={generation.source} />}
      {goal.kind === "own" && (
        <p className={styles.own}>
          {studio.environment.value?.summary?.description} Its terms show in the curves as soon as training starts.
        </p>
      )}
      {goal.kind === "reward" && !writing && (
        <>
          {goal.reward.explanation && <p className={styles.explanation}>{goal.reward.explanation}</p>}
          {goal.reward.leftOut.length > 0 && (
            <Notice tone="warn" title="Not part of this reward" testId="left-out">
              <p>{goal.reward.leftOut.join("; ")}.</p>
            </Notice>
          )}
          <Terms studio={studio} reward={goal.reward} highlighted={highlighted} onHighlight={onHighlight} />
          <SourcePanel
            key={goal.reward.rewardId}
            source={goal.reward.source}
            reward={goal.reward}
            studio={studio}
            highlighted={highlighted}
          />
        </>
      )}
    </Step>
  );
}

function intro(goal: StudioState["goal"]["kind"], timing: Timing | undefined): string {
  const rate =
    timing && timing.controlPeriodSecs > 0
      ? `${Math.round(1 / timing.controlPeriodSecs)} times a second`
      : "at every moment";
  if (goal === "own") return `The reward that this environment comes with, paid ${rate}.`;
  return `A reward is a number, paid ${rate}. The robot tries things out and keeps what earns more; so the reward decides what it learns.`;
}

function Origin({ reward }: { readonly reward: Reward }) {
  const { usage } = reward;
  const author = {
    [RewardOrigin.UNSPECIFIED]: "",
    [RewardOrigin.LIBRARY]: "by the built-in library",
    [RewardOrigin.LLM]: `by ${reward.model}`,
    [RewardOrigin.PERSON]: "edited by you",
  }[reward.origin];
  const cost = usage?.costUsd === undefined ? "" : ` · ${formatAnswerCost(usage.costUsd)}`;
  return (
    <span className={styles.origin} data-testid="reward-origin" title={usage ? usageTitle(usage) : undefined}>
      {author}
      {cost}
    </span>
  );
}

function usageTitle({ promptTokens, completionTokens, calls }: NonNullable<Reward["usage"]>): string {
  const share = Number(completionTokens) / Math.max(1, Number(promptTokens + completionTokens));
  return `${promptTokens + completionTokens} tokens (${formatPercent(share)} of them the answer) in ${calls} calls`;
}
