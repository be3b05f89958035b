import { useState } from "react";
import { useSession } from "../app/session";
import { returnScale, whatReturnIs } from "../policies/episodeReturn";
import { EVALUATION_EPISODES } from "../stores/evaluation";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./EvaluationPanel.module.css";
import { csvOf, markdownOf, rowsOf } from "./evaluationTable";
import { policyTitle, practice, rewardKey } from "./laneName";
import { laneColor, laneLetter } from "./lanes";
import type { Measured } from "./RobustnessPanel";
import type { Comparison } from "./useComparison";

interface EvaluationPanelProps {
  readonly lanes: readonly Measured[];
  readonly comparison: Comparison;
}

/** Whole episodes of each policy on the server, from the same starts, and what was counted in them. */
export function EvaluationPanel({ lanes, comparison: { environment, alike } }: EvaluationPanelProps) {
  const { evaluations } = useSession();
  const measured = useStore(evaluations.store);
  const of = lanes.map(({ policy }) => measured.get(policy.policyId));
  const missing = lanes.filter((_, index) => of[index]?.status !== "done");
  const running = of.some((each) => each?.status === "running");
  const columns = lanes.map(({ policy, name }, index) => {
    const summary = of[index]?.summary;
    return { name, rewardKey: rewardKey(policy), ...(summary ? { summary } : {}) };
  });
  const rows = rowsOf(columns);
  const any = columns.some(({ summary }) => summary);
  const scale = returnScale(environment.value, undefined);

  // One after the other: the server plays only so many at once, and the decision's time is measured without company.
  async function evaluateAll() {
    for (const { policy } of missing.length > 0 ? missing : lanes) await evaluations.run(policy.policyId);
  }

  return (
    <section className={styles.evaluation} aria-labelledby="evaluation">
      <div className={styles.bar}>
        <h2 id="evaluation">Evaluation</h2>
        <Button busy={running} onClick={() => void evaluateAll()} data-testid="evaluate-all">
          {missing.length > 0 ? "Evaluate" : "Evaluate again"}
        </Button>
        {any && <Copies csv={csvOf(columns, rows)} markdown={markdownOf(columns, rows)} />}
      </div>
      <p className={styles.words}>
        Each plays {EVALUATION_EPISODES} episodes in a separate simulation, all from the same {EVALUATION_EPISODES}{" "}
        starts. The return is {whatReturnIs(scale)}.
        {!alike && " They learned for different rewards, so returns and terms do not compare."}
      </p>
      <section
        className={styles.scroll}
        aria-label="Evaluation in numbers"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
      >
        <table data-testid="evaluation-table">
          <caption className="hidden-visually">
            What was measured of each policy; the best of each row is marked
          </caption>
          <thead>
            <tr>
              <td />
              {lanes.map(({ policy, place }, index) => (
                <th key={place} scope="col" style={{ "--lane": laneColor(place) } as React.CSSProperties}>
                  <span className={styles.letter}>{laneLetter(place)}</span>
                  <span className={styles.name} title={policyTitle(policy)}>
                    {policyTitle(policy)}
                  </span>
                  <small className="number">
                    {of[index]?.status === "running"
                      ? `episode ${Math.min((of[index]?.episodes.length ?? 0) + 1, EVALUATION_EPISODES)} of ${EVALUATION_EPISODES}`
                      : practice(policy)}
                  </small>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ title, cells, best }) => (
              <tr key={title}>
                <th scope="row">{title}</th>
                {cells.map((cell, index) => (
                  <td key={lanes[index]?.place} className="number" data-best={best === index}>
                    {best === index ? (
                      <b>
                        {cell}
                        <span className="hidden-visually"> (best)</span>
                      </b>
                    ) : (
                      cell || "–"
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {lanes.map(({ policy, place }, index) => {
        const failure = of[index]?.failure;
        return (
          failure && (
            <div key={place} className={styles.failure}>
              <p>{laneLetter(place)} could not be evaluated:</p>
              <FailureNotice failure={failure} onRetry={() => void evaluations.run(policy.policyId)} />
            </div>
          )
        );
      })}
    </section>
  );
}

/** The table for a spreadsheet or a page of notes. */
function Copies({ csv, markdown }: { readonly csv: string; readonly markdown: string }) {
  const [told, setTold] = useState("");
  async function copy(text: string, what: string) {
    try {
      await navigator.clipboard.writeText(text);
      setTold(`Copied as ${what}`);
    } catch {
      setTold("This browser does not allow copying here.");
    }
  }
  return (
    <div className={styles.copies}>
      <span role="status">{told}</span>
      <Button variant="quiet" size="small" onClick={() => void copy(csv, "CSV")} data-testid="copy-csv">
        Copy CSV
      </Button>
      <Button variant="quiet" size="small" onClick={() => void copy(markdown, "Markdown")} data-testid="copy-markdown">
        Copy Markdown
      </Button>
    </div>
  );
}
