import { Suspense, useEffect, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import { formatCount, formatDuration, formatEstimate, formatReward } from "../format/format";
import { LogLevel, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { whatReturnIs } from "../policies/episodeReturn";
import type { Failure } from "../rpc/failure";
import { remedyFor } from "../rpc/remedies";
import { hasEnded, playable, type RunRecord } from "../stores/runRecord";
import { useStore } from "../stores/store";
import type { StudioState } from "../studio/useStudio";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { StopIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import { Checks, isShown } from "./Checks";
import styles from "./RunPanel.module.css";
import { elapsedSecs, progressOf, remainingSecs, speedOf } from "./remaining";

const { Component: Curves, prefetch } = loadLater(async () => (await import("./Curves")).Curves);

/** Fetches the curves before they are needed. */
export const prefetchCurves = prefetch;

interface RunPanelProps {
  readonly record: RunRecord;
  readonly studio: StudioState;
  readonly highlighted: string;
}

/** A run as it happens: how far it is, how long it still takes, and how the return grows. */
export function RunPanel({ record, studio, highlighted }: RunPanelProps) {
  const { runs } = useSession();
  const { run, history } = record;
  const connected = useStore(runs.connection) === undefined;
  const [stopping, setStopping] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  useEverySecond(studio.running);
  const progress = progressOf(record);
  const elapsed = elapsedSecs(record, Date.now());
  const metrics = run.metrics;
  const reached = metrics?.episodeReturn;
  const speed = speedOf(record);
  const { scale } = studio;
  // What went wrong last, unless the run says it all itself.
  const remark = run.error || isShown(record.remark?.text ?? "", metrics?.warnings ?? []) ? undefined : record.remark;

  async function stop() {
    setStopping(true);
    setFailure(undefined);
    try {
      await runs.cancel(run.runId);
    } catch (thrown) {
      setFailure(thrown as Failure);
    } finally {
      setStopping(false);
    }
  }

  return (
    <div className={styles.panel} data-testid="run-panel" data-run-id={run.runId}>
      <div className={styles.head}>
        <p className={styles.now} role="status">
          {statement(record, studio.following, connected)}
        </p>
        {studio.running && (
          <Button size="small" icon={<StopIcon />} busy={stopping} onClick={() => void stop()} data-testid="cancel-run">
            Stop
          </Button>
        )}
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
        <Fact name="Return" title={`${sentence(whatReturnIs(scale))}; the mean of the newest episodes.`}>
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
      {failure && <FailureNotice failure={failure} />}
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
      <Log record={record} />
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

/**
 * How it stands, in a sentence or two. `following` says whether the page chooses which policy drives the robot, `connected`
 * whether news of the run can come at all.
 */
function statement(record: RunRecord, following: boolean, connected: boolean): string {
  const { run } = record;
  if (!connected && !hasEnded(run.state)) return "No news of it at the moment; reconnecting.";
  switch (run.state) {
    case RunState.QUEUED:
      return "Waits for the run before it to finish.";
    case RunState.STARTING:
      return run.metrics
        ? "Getting ready to go on from the newest checkpoint."
        : "Loading the robot and compiling the learner. Practice starts in a moment.";
    case RunState.RUNNING: {
      const left = remainingSecs(record, performance.now());
      if (left !== undefined) return `${sentence(formatEstimate(left))} to go.`;
      return record.metricsAtMs === undefined ? "Practice has begun." : "Nothing has been heard of it for a while.";
    }
    case RunState.SUCCEEDED: {
      const last = run.checkpoints.find(({ final }) => final);
      const plays = following ? " The best policy drives the robot." : "";
      if (last?.policyId) return `Done.${plays}`;
      const published = playable(run).length > 0;
      if (!last?.refusal) return `Done. The last policy is not published yet.${published ? plays : ""}`;
      return published ? `Done, but the last policy was refused.${plays}` : "Done, but its policy was refused.";
    }
    case RunState.FAILED:
      return "Training ended early; checkpoints so far are kept.";
    case RunState.CANCELLED:
      return "Stopped by you; checkpoints so far are kept.";
    case RunState.PAUSED:
      return `Paused; \`tabrl continue ${run.runId}\` goes on from the newest checkpoint.`;
    default:
      return "";
  }
}

function Log({ record }: { readonly record: RunRecord }) {
  if (record.log.length === 0) return null;
  return (
    <details className={styles.log}>
      <summary>
        What the trainer says <span className="number">({record.log.length})</span>
      </summary>
      <ol>
        {record.log.map(({ level, text }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines are only ever appended
          <li key={index} className={level === LogLevel.INFO ? undefined : styles.loud}>
            {text}
          </li>
        ))}
      </ol>
    </details>
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

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
