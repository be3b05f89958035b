import { useMemo } from "react";
import { useSession } from "../app/session";
import { rewardKey } from "../policies/rewardKey";
import { sampleOf } from "../policies/statistics";
import { robustnessScore } from "../stores/robustness";
import { useStore } from "../stores/store";
import { Differences } from "./Differences";
import { EvaluationPanel } from "./EvaluationPanel";
import { laneName } from "./laneName";
import { laneColor, laneLetter } from "./lanes";
import styles from "./Results.module.css";
import { type Measured, RobustnessPanel } from "./RobustnessPanel";
import type { Comparison } from "./useComparison";
import { verdictOf } from "./verdict";

/** What was measured of all of them, and who is best. */
export function Results({ comparison }: { readonly comparison: Comparison }) {
  const { evaluations, robustness } = useSession();
  const evaluated = useStore(evaluations.store);
  const withstood = useStore(robustness.store);
  const lanes = useMemo(
    () =>
      comparison.lanes.flatMap(({ policy, policyId, foreign, place }): Measured[] =>
        policy?.policyId === policyId && !foreign ? [{ policy, place, name: laneName(laneLetter(place), policy) }] : [],
      ),
    [comparison.lanes],
  );
  const verdict = verdictOf(
    lanes.map(({ policy, name, place }) => {
      const { episodes = [], status } = evaluated.get(policy.policyId) ?? {};
      const report = withstood.get(policy.controller?.sha256 ?? "")?.report;
      return {
        name,
        letter: laneLetter(place),
        rewardKey: rewardKey(policy),
        ...(status === "done"
          ? {
              returns: sampleOf(episodes.map(({ episodeReturn }) => episodeReturn)),
              survival: sampleOf(episodes.map(({ survived }) => survived)),
            }
          : {}),
        ...(report ? { robustness: robustnessScore(report) } : {}),
      };
    }),
  );
  const winner = verdict.winner === undefined ? undefined : lanes[verdict.winner];
  if (lanes.length === 0) return null;

  return (
    <div className={styles.results}>
      <section className={styles.verdict} aria-labelledby="verdict" aria-live="polite" data-testid="verdict">
        <h2 id="verdict" className="hidden-visually">
          Who is best
        </h2>
        {winner && (
          <span className={styles.letter} style={{ background: laneColor(winner.place) }} aria-hidden="true">
            {laneLetter(winner.place)}
          </span>
        )}
        <div>
          <p className={styles.sentence}>{verdict.sentence}</p>
          {verdict.reasons.length > 0 && (
            <ul className={styles.reasons}>
              {verdict.reasons.map((reason) => (
                <li key={reason}>{reason}</li>
              ))}
            </ul>
          )}
        </div>
      </section>
      <EvaluationPanel lanes={lanes} comparison={comparison} />
      <RobustnessPanel lanes={lanes} bundle={comparison.bundle.value} />
      {lanes.length === 2 && lanes[0] && lanes[1] && (
        <Differences left={lanes[0].policy.policyId} right={lanes[1].policy.policyId} />
      )}
    </div>
  );
}
