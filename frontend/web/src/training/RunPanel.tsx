import { Suspense, useEffect, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import { formatCount, formatDuration, formatReward, formatUsd, upperFirst } from "../format/format";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { whatReturnIs } from "../policies/episodeReturn";
import { remedyFor } from "../rpc/remedies";
import type { RunRecord } from "../stores/runRecord";
import { useStore } from "../stores/store";
import type { StudioState } from "../studio/useStudio";
import { Boundary } from "../ui/Boundary";
import { Notice } from "../ui/Notice";
import { Checks, isShown } from "./Checks";
import { RunControls } from "./RunControls";
import { RunLog } from "./RunLog";
import { RunNotes } from "./RunNotes";
import { RunOutcome } from "./RunOutcome";
import styles from "./RunPanel.module.css";
import { elapsedSecs, progressOf, speedOf } from "./remaining";
import { statement } from "./statement";

const { Component: Curves, prefetch } = loadLater(async () => (await import("./Curves")).Curves);

/** Fetches the curves before they are needed. */
export const prefetchCurves = prefetch;

interface RunPanelProps {
  readonly record: RunRecord;
  readonly studio: StudioState;
  readonly highlighted: string;
  readonly onFineTune: (policyId: string) => void;
}

/** A run as it happens: how far it is, how long it still takes, and how the return grows. */
export function RunPanel({ record, studio, highlighted, onFineTune }: RunPanelProps) {
  const { runs } = useSession();
  const { run, history } = record;
  const connected = useStore(runs.connection) === undefined;
  useEverySecond(studio.running);
  const progress = progressOf(record);
  const elapsed = elapsedSecs(record, Date.now());
  const metrics = run.metrics;
  const reached = metrics?.episodeReturn;
  const speed = speedOf(record);
  const cost = metrics?.costUsd ?? run.costUsd;
  const { scale } = studio;
  // What went wrong last, unless the run says it all itself.
  const remark = run.error || isShown(record.remark?.text ?? "", metrics?.warnings ?? []) ? undefined : record.remark;

  return (
    <div className={styles.panel} data-testid="run-panel" data-run-id={run.runId}>
      <div className={styles.head}>
        <p className={styles.now} role="status">
          {statement(record, studio.following, connected)}
        </p>
        {studio.running && <RunControls key={run.runId} run={run} />}
      </div>
      <div
        className={`${styles.track} ${run.state === RunState.STARTING ? styles.starting : ""}`}
        role="progressbar"
        aria-label="Practice done"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(progress * 100)}
        data-testid="run-progress"
      >
        <span style={{ transform: `scaleX(${progress})` }} />
      </div>
      <dl className={styles.facts}>
        <Fact name="Return" title={`${upperFirst(whatReturnIs(scale))}; the mean of the newest episodes.`}>
          {reached !== undefined ? formatReward(reached) : metrics ? `≈ ${formatReward(metrics.projectedReturn)}` : "–"}
          {scale.most !== undefined && metrics && <small> of {formatReward(scale.most)}</small>}
        </Fact>
        <Fact name="Practice">
          {formatCount(metrics?.envSteps ?? 0n)}
          <small> of {formatCount(run.spec?.settings?.envSteps ?? 0n)}</small>
        </Fact>
        <Fact name="Speed">
          {speed === undefined ? "–" : formatCount(speed)}
          <small>/s</small>
        </Fact>
        <Fact name={studio.running ? "So far" : "Took"}>{elapsed === undefined ? "–" : formatDuration(elapsed)}</Fact>
        {cost !== undefined && (
          <Fact name="Cost so far" title="By list prices and the seconds its containers ran; Modal sends the bill.">
            {formatUsd(cost)}
          </Fact>
        )}
      </dl>
      {run.error && (
        <Notice tone="danger" testId="error" title={run.error.message}>
          {remedyFor(run.error.reason, "", {}) && <p>{remedyFor(run.error.reason, "", {})}</p>}
        </Notice>
      )}
      {remark && (
        <Notice tone="warn">
          <p>{remark.text}</p>
          {remark.reason && remedyFor(remark.reason, "", {}) && <p>{remedyFor(remark.reason, "", {})}</p>}
        </Notice>
      )}
      {metrics && <Checks metrics={metrics} termNames={studio.termNames} highlighted={highlighted} />}
      <Boundary what="The curves">
        <Suspense fallback={<div className={styles.curvesSpace} />}>
          <Curves
            history={history}
            termNames={studio.termNames}
            scale={scale}
            highlighted={highlighted}
            untilSteps={studio.running ? Number(run.spec?.settings?.envSteps ?? 0n) : 0}
          />
        </Suspense>
      </Boundary>
      <RunLog lines={record.log} />
      {!studio.running && (
        <RunOutcome key={`outcome ${run.runId}`} record={record} studio={studio} onFineTune={onFineTune} />
      )}
      <RunNotes key={`notes ${run.runId}`} run={run} />
    </div>
  );
}

interface FactProps {
  readonly name: string;
  readonly title?: string;
  readonly children: React.ReactNode;
}

function Fact({ name, title, children }: FactProps) {
  return (
    <div title={title}>
      <dt>{name}</dt>
      <dd className="number">{children}</dd>
    </div>
  );
}

function useEverySecond(active: boolean): void {
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!active) return;
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, [active]);
}
