import { Suspense, useId, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import { formatName, formatPercent, formatReward } from "../format/format";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Evaluation } from "../stores/evaluation";
import { onlyLibrary } from "../stores/models";
import { ALL, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import type { StudioState } from "../studio/useStudio";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { FailureNotice, Notice } from "../ui/Notice";
import { GenerationProgress } from "./GenerationProgress";
import styles from "./ImprovePanel.module.css";
import { WeightChanges } from "./WeightChanges";

const { Component: SourceDiff } = loadLater(async () => (await import("./SourceDiff")).SourceDiff);

const MAX_REMARK_CHARS = 4000;

interface ImprovePanelProps {
  readonly studio: StudioState;
  readonly runId: string;
  /** The reward that the run was trained for. */
  readonly before: Reward;
  readonly onClose: () => void;
}

/** Has a better reward written after what came of a run, and shows it beside the one before. */
export function ImprovePanel({ studio, runId, before, onClose }: ImprovePanelProps) {
  const { evaluations, improver, models } = useSession();
  const listed = useResource(models, ALL);
  const improvement = useStore(improver.store);
  const evaluation = useStore(evaluations.store).get(studio.policyId);
  const [remark, setRemark] = useState("");
  const id = useId();
  const mine = improvement.runId === runId;
  const working = mine && improvement.status === "working";
  const measures = measuresOf(evaluation);

  if (mine && improvement.after) {
    return (
      <Comparison
        before={improvement.before ?? before}
        after={improvement.after}
        onUse={(reward) => {
          studio.adoptReward(reward);
          improver.clear();
          onClose();
        }}
        onKeep={() => {
          improver.clear();
          onClose();
        }}
      />
    );
  }
  if (listed.value && onlyLibrary(listed.value)) {
    return (
      <Notice tone="info" title="Improving needs an LLM" testId="improve-needs-llm">
        <p>
          The built-in library cannot think about what came of a training. Set <code>TABRL_LLM_MODEL</code> and its key,
          then restart TabRL. Until then, change the weights in step 2 and fine-tune from here.
        </p>
      </Notice>
    );
  }
  return (
    <div className={styles.panel} data-testid="improve-panel">
      <label htmlFor={id}>What should be better?</label>
      <textarea
        id={id}
        className={fieldStyles.input}
        value={remark}
        rows={2}
        maxLength={MAX_REMARK_CHARS}
        placeholder="For example: it leans too far forward"
        disabled={working}
        onChange={(event) => setRemark(event.target.value)}
        data-testid="improve-remark"
      />
      <p className={styles.seen}>
        {Object.keys(measures).length > 0
          ? `The curves of this run go along, and what was measured: ${wordsOf(evaluation)}.`
          : "The curves of this run go along. Measure the policy in step 4, and that goes along too."}
      </p>
      <div className={styles.actions}>
        <Button
          variant="primary"
          size="small"
          busy={working}
          onClick={() => void improver.improve({ before, runId, measures, remark })}
          data-testid="improve-write"
        >
          {working ? "Writing" : "Write a better reward"}
        </Button>
        <Button
          variant="quiet"
          size="small"
          onClick={() => {
            improver.clear();
            onClose();
          }}
        >
          Cancel
        </Button>
      </div>
      {mine && (working || improvement.repairs.length > 0) && <GenerationProgress generation={improvement} />}
      {mine && improvement.failure && (
        <FailureNotice
          failure={improvement.failure}
          onRetry={() => void improver.improve({ before, runId, measures, remark })}
        />
      )}
    </div>
  );
}

interface ComparisonProps {
  readonly before: Reward;
  readonly after: Reward;
  readonly onUse: (reward: Reward) => void;
  readonly onKeep: () => void;
}

function Comparison({ before, after, onUse, onKeep }: ComparisonProps) {
  return (
    <div className={styles.panel} data-testid="improvement">
      <p className={styles.title}>{after.name || "The new reward"}</p>
      {(after.explanation || after.expectedBehaviour) && <p>{after.explanation || after.expectedBehaviour}</p>}
      <WeightChanges before={before} after={after} />
      <div className={styles.diff}>
        <Boundary what="The comparison">
          <Suspense fallback={<div className={styles.space} />}>
            <SourceDiff before={before.source} after={after.source} />
          </Suspense>
        </Boundary>
      </div>
      <div className={styles.actions}>
        <Button variant="primary" size="small" onClick={() => onUse(after)} data-testid="use-improvement">
          Use it
        </Button>
        <Button variant="quiet" size="small" onClick={onKeep} data-testid="keep-old">
          Keep the old
        </Button>
      </div>
    </div>
  );
}

/** What an evaluation measured, by names that a person and a model understand. */
function measuresOf(evaluation: Evaluation | undefined): Record<string, number> {
  const summary = evaluation?.summary;
  if (!summary) return {};
  return {
    "mean return of an episode": summary.meanReturn,
    "share of the episode that it lasted": summary.meanSurvived,
    ...Object.fromEntries(Object.entries(summary.termReturns).map(([name, value]) => [`return of ${name}`, value])),
  };
}

function wordsOf(evaluation: Evaluation | undefined): string {
  const summary = evaluation?.summary;
  if (!summary) return "";
  const terms = Object.entries(summary.termReturns).map(
    ([name, value]) => `${formatName(name)} ${formatReward(value)}`,
  );
  const lasted = `lasting ${formatPercent(summary.meanSurvived)} of the episode`;
  return [`a return of ${formatReward(summary.meanReturn)}`, lasted, ...terms].join(", ");
}
