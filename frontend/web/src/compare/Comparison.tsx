import { useEffect, useMemo } from "react";
import { Button } from "../ui/Button";
import { PlusIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./Comparison.module.css";
import { comparedOf, MOST_LANES } from "./lanes";
import { createLiveLanes } from "./live";
import { Results } from "./Results";
import { Stages } from "./Stages";
import { StepSlider } from "./StepSlider";
import type { Comparison as Compared } from "./useComparison";

interface ComparisonProps {
  readonly comparison: Compared;
  readonly ids: readonly string[];
  /** How many more the address names. */
  readonly leftOut: number;
  /** The person wants another one. */
  readonly onPick: () => void;
}

/** The robots that are compared, what moves all of them, and who is best. */
export function Comparison({ comparison, ids, leftOut, onPick }: ComparisonProps) {
  const { lanes, environment, environmentId, bundle, alike } = comparison;
  const live = useMemo(createLiveLanes, []);
  const title = environment.value?.summary?.title ?? environmentId;
  useEffect(() => live.setAlike(alike), [live, alike]);

  return (
    <div className={styles.compare}>
      <header className={styles.head}>
        <div>
          <h1>Compare</h1>
          <p className={styles.subject}>{title}</p>
        </div>
        <StepSlider comparison={comparison} />
        <Button
          icon={<PlusIcon />}
          disabled={ids.length >= MOST_LANES}
          title={ids.length >= MOST_LANES ? "Four is the most" : undefined}
          onClick={onPick}
          data-testid="add-policy"
        >
          Add a policy
        </Button>
      </header>
      {leftOut > 0 && (
        <Notice
          tone="warn"
          testId="left-out"
          title={`This link names ${leftOut} more than can be shown`}
          action={
            <Button size="small" onClick={() => comparison.change(ids)}>
              Keep these {MOST_LANES}
            </Button>
          }
        >
          <p>These are the first {MOST_LANES}. Remove one to make room for another.</p>
        </Notice>
      )}
      {bundle.failure && !bundle.value && <FailureNotice failure={bundle.failure} />}
      <Stages comparison={comparison} live={live} onAdd={onPick} />
      <Results comparison={comparison} key={environmentId} />
      <p className="hidden-visually" aria-live="polite">
        {lanes.length} policies are compared: {comparedOf(lanes.map(({ policyId }) => policyId))}
      </p>
    </div>
  );
}
