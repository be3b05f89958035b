import { Fragment, useEffect } from "react";
import { useSession } from "../app/session";
import { formatName, formatPercent, formatReward } from "../format/format";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { EVALUATION_EPISODES, type Evaluation } from "../stores/evaluation";
import { useStore } from "../stores/store";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import { type ReturnScale, whatReturnIs } from "./episodeReturn";
import { Keep } from "./Keep";
import { Parity } from "./Parity";
import styles from "./ResultStep.module.css";
import { TakeAway } from "./TakeAway";

/** Step 4: how well the policy does, measured on the server over whole episodes. */
export function ResultStep({ studio }: { readonly studio: StudioState }) {
  const { evaluations, navigation } = useSession();
  const { runId, policyId: chosenId } = useStore(navigation.place);
  const { bestPolicyId, policy, policyId, run, running, scale } = studio;
  // While the next policy is on its way, the one before is still there, with what a person has begun to do with it.
  const current = policy.value?.policyId === policyId ? policy.value : undefined;
  const evaluation = useStore(evaluations.store).get(policyId);
  const final = run?.run.checkpoints.find((checkpoint) => checkpoint.final);
  // Which one is best is certain once the last has come, or is known not to come.
  const settled = run?.run.state === RunState.SUCCEEDED && Boolean(final?.policyId || final?.refusal);
  const measuredId = settled ? bestPolicyId : "";

  useEffect(() => {
    if (measuredId) evaluations.ensure(measuredId);
  }, [evaluations, measuredId]);

  return (
    <Step
      number={4}
      title="See how well it does"
      state={evaluation?.status === "done" ? "done" : policy.value && !running ? "now" : "later"}
      intro={`The policy plays ${EVALUATION_EPISODES} episodes in a separate simulation, each from another start. Counted is the return: ${whatReturnIs(scale)}.`}
    >
      {(evaluation || policy.value) && (
        <>
          {evaluation && <EvaluationResult evaluation={evaluation} scale={scale} />}
          {evaluation?.failure && (
            <FailureNotice failure={evaluation.failure} onRetry={() => void evaluations.run(policyId)} />
          )}
          {!evaluation && current && (
            <Button className={styles.measure} onClick={() => void evaluations.run(policyId)} data-testid="evaluate">
              Measure this policy
            </Button>
          )}
          {policy.value && (
            // What was begun with a policy ends when the person chooses another, not when training brings one.
            <Fragment key={`${runId} ${chosenId}`}>
              <Keep policy={policy.value} />
              <TakeAway policy={policy.value} />
            </Fragment>
          )}
          {current && <Parity policy={current} />}
        </>
      )}
    </Step>
  );
}

interface EvaluationResultProps {
  readonly evaluation: Evaluation;
  readonly scale: ReturnScale;
}

function EvaluationResult({ evaluation: { status, episodes, summary }, scale }: EvaluationResultProps) {
  // The columns are as high as the largest possible return, or else as the largest of these.
  const full = scale.most ?? Math.max(1e-9, ...episodes.map(({ episodeReturn }) => Math.abs(episodeReturn)));
  const slots = Array.from({ length: EVALUATION_EPISODES }, (_, index) =>
    episodes.find((each) => each.index === index),
  );
  return (
    <div className={styles.evaluation} data-testid="evaluation" data-status={status}>
      <div className={styles.headline}>
        <p className={`${styles.score} number`}>
          {summary ? formatReward(summary.meanReturn) : "–"}
          {summary && summary.episodes > 1 && <small> ± {formatReward(summary.stdReturn)}</small>}
          {summary && scale.most !== undefined && <small> of {formatReward(scale.most)}</small>}
        </p>
        <p className={styles.words}>
          {summary
            ? `mean return; it lasted ${formatPercent(summary.meanSurvived)} of the episode`
            : status === "running"
              ? `playing episode ${Math.min(episodes.length + 1, EVALUATION_EPISODES)} of ${EVALUATION_EPISODES}`
              : "not measured to the end"}
        </p>
      </div>
      <ol className={styles.episodes} aria-label="Return of each episode">
        {slots.map((episode, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an episode is its number
          <li key={index} title={episode && `${formatPercent(episode.survived)} of the episode`}>
            <span className={styles.column} aria-hidden="true">
              <span
                style={{ transform: `scaleY(${episode ? Math.min(1, Math.abs(episode.episodeReturn) / full) : 0})` }}
              />
            </span>
            <span className="number">{episode ? formatReward(episode.episodeReturn) : "·"}</span>
          </li>
        ))}
      </ol>
      {summary && Object.keys(summary.termReturns).length > 1 && (
        <dl className={styles.terms}>
          {Object.entries(summary.termReturns).map(([name, value]) => (
            <div key={name}>
              <dt>{formatName(name)}</dt>
              <dd className="number">{formatReward(value)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}
