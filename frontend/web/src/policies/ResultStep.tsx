import { useEffect } from "react";
import { useSession } from "../app/session";
import { formatDuration, formatName, formatPercent, formatReward } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { EVALUATION_EPISODES, type Evaluation } from "../stores/evaluation";
import { useStore } from "../stores/store";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./ResultStep.module.css";

/** Step 4: how well the policy does, measured on the server over whole episodes. */
export function ResultStep({ studio }: { readonly studio: StudioState }) {
  const { evaluations } = useSession();
  const { policy, policyId, run, running } = studio;
  const evaluation = useStore(evaluations.store).get(policyId);
  const final = run?.run.checkpoints.find((checkpoint) => checkpoint.final);
  const finalPolicyId = run?.run.state === RunState.SUCCEEDED ? (final?.policyId ?? "") : "";

  useEffect(() => {
    if (finalPolicyId) evaluations.ensure(finalPolicyId);
  }, [evaluations, finalPolicyId]);

  const episodeLength = studio.environment.value?.timing?.episodeLength ?? 0;
  const periodSecs = studio.environment.value?.timing?.controlPeriodSecs ?? 0;
  const episode = episodeLength * periodSecs > 0 ? ` of ${formatDuration(episodeLength * periodSecs)}` : "";
  return (
    <Step
      number={4}
      title="See how well it does"
      state={evaluation?.status === "done" ? "done" : policyId && !running ? "now" : "later"}
      intro={`The policy plays ${EVALUATION_EPISODES} episodes${episode} in a separate simulation, each from another start, and its scores are counted.`}
    >
      {policyId && (
        <>
          {evaluation && <EvaluationResult evaluation={evaluation} />}
          {evaluation?.failure && (
            <FailureNotice failure={evaluation.failure} onRetry={() => void evaluations.run(policyId)} />
          )}
          {!evaluation && (
            <Button className={styles.measure} onClick={() => void evaluations.run(policyId)} data-testid="evaluate">
              Measure this policy
            </Button>
          )}
          {policy.value?.policyId === policyId && <Parity policy={policy.value} />}
        </>
      )}
    </Step>
  );
}

function EvaluationResult({ evaluation: { status, episodes, summary } }: { readonly evaluation: Evaluation }) {
  const best = Math.max(1e-9, ...episodes.map(({ episodeReturn }) => Math.abs(episodeReturn)));
  const slots = Array.from({ length: EVALUATION_EPISODES }, (_, index) =>
    episodes.find((each) => each.index === index),
  );
  return (
    <div className={styles.evaluation} data-testid="evaluation" data-status={status}>
      <div className={styles.headline}>
        <p className={`${styles.score} number`}>
          {summary ? formatReward(summary.meanReturn) : "–"}
          {summary && summary.episodes > 1 && <small> ± {formatReward(summary.stdReturn)}</small>}
        </p>
        <p className={styles.words}>
          {summary
            ? `mean score; it lasted ${formatPercent(summary.meanSurvived)} of the episode`
            : status === "running"
              ? `playing episode ${Math.min(episodes.length + 1, EVALUATION_EPISODES)} of ${EVALUATION_EPISODES}`
              : "not measured to the end"}
        </p>
      </div>
      <ol className={styles.episodes} aria-label="Score of each episode">
        {slots.map((episode, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an episode is its number
          <li key={index} title={episode && `${formatPercent(episode.survived)} of the episode`}>
            <span className={styles.column} aria-hidden="true">
              <span style={{ transform: `scaleY(${episode ? Math.abs(episode.episodeReturn) / best : 0})` }} />
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

/** That what plays here is what was trained. */
function Parity({ policy: { parity } }: { readonly policy: Policy }) {
  if (!parity?.passed) return null;
  const largest = Math.max(0, ...parity.outputs.map(({ maxDifference }) => maxDifference));
  return (
    <p className={styles.parity}>
      Checked against training on {parity.states} states: what drives the robot here differs by at most{" "}
      <span className="number">{largest === 0 ? "0" : largest.toExponential(0)}</span>.
    </p>
  );
}
