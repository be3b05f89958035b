import type { Checkpoint, LogLine, Run, RunEvent, TrainingMetrics } from "../gen/tabrl/trainer/v1/trainer_pb";
import { LogLevel, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";

/** All that the page knows of a run. */
export interface RunRecord {
  readonly run: Run;
  /** Newest event folded in; where a broken watch goes on. */
  readonly revision: bigint;
  /** Metrics by growing steps; the curves. What a resumed run learns anew replaces what it had learnt there before. */
  readonly history: readonly TrainingMetrics[];
  readonly log: readonly LogLine[];
  /** What went wrong last, unless a policy has been published since. */
  readonly remark?: Remark;
  /**
   * When the newest metrics arrived, by this page's clock, for a countdown that runs between messages; undefined while they are
   * those of a process before the present one, or there are none.
   */
  readonly metricsAtMs: number | undefined;
  /** Whether others of the same process came before the newest metrics: the speed of its first counts compiling as practice. */
  readonly steady: boolean;
}

/** Something that a person should know of a run that goes on all the same. */
export interface Remark {
  readonly text: string;
  /** Reason of `tabrl.type.v1.ErrorReason` without its prefix; empty when there is none. */
  readonly reason: string;
}

const ENDED = new Set([RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED]);

/** Whether nothing more will happen in a run. */
export function hasEnded(state: RunState): boolean {
  return ENDED.has(state);
}

/** Whether the run has ended and all its events are in the record. */
export function isComplete({ run, revision }: RunRecord): boolean {
  return hasEnded(run.state) && revision >= run.revision;
}

/** A record with the history told from its start. */
export function recordOf(run: Run): RunRecord {
  return { run, revision: 0n, history: [], log: [], metricsAtMs: undefined, steady: false };
}

/** Takes a snapshot in: it rules the present, the history stays. */
export function withSnapshot(record: RunRecord | undefined, run: Run): RunRecord {
  return record ? { ...record, run } : recordOf(run);
}

/**
 * Takes an event in. Events that a snapshot already holds (replayed after it) add to history and log only, so that a replay
 * never turns the present back. Events seen before change nothing.
 */
export function withEvent(record: RunRecord, event: RunEvent, nowMs: number): RunRecord {
  if (event.revision <= record.revision) return record;
  const told = { ...record, revision: event.revision };
  const replayed = event.revision <= record.run.revision;
  const present = (change: Partial<Run>): Run =>
    replayed ? record.run : { ...record.run, ...change, revision: event.revision };
  switch (event.event.case) {
    case "stateChanged": {
      const { state, error } = event.event.value;
      const time = event.time;
      return {
        ...told,
        ...(state === RunState.RUNNING || hasEnded(state) ? {} : { metricsAtMs: undefined }),
        run: present({
          state,
          ...(error ? { error } : {}),
          ...(state === RunState.STARTING && time && !record.run.startTime ? { startTime: time } : {}),
          ...(hasEnded(state) && time ? { endTime: time } : {}),
        }),
      };
    }
    case "metrics": {
      const metrics = event.event.value;
      const before = record.history.filter(({ envSteps }) => envSteps < metrics.envSteps);
      const steady = record.metricsAtMs !== undefined;
      return { ...told, run: present({ metrics }), history: [...before, metrics], metricsAtMs: nowMs, steady };
    }
    case "checkpoint":
      return { ...told, run: present({ checkpoints: withCheckpoint(record.run.checkpoints, event.event.value) }) };
    case "policyPublished": {
      const { checkpointSha256, policyId } = event.event.value;
      const checkpoints = record.run.checkpoints.map((checkpoint) =>
        checkpoint.artifact?.sha256 === checkpointSha256 ? { ...checkpoint, policyId } : checkpoint,
      );
      const { remark: _, ...rest } = told;
      return { ...rest, run: present({ checkpoints }) };
    }
    case "policyRefused": {
      const { checkpointSha256, envSteps, error } = event.event.value;
      const checkpoints = record.run.checkpoints.map((checkpoint) =>
        checkpoint.artifact?.sha256 === checkpointSha256 && error ? { ...checkpoint, refusal: error } : checkpoint,
      );
      const text = `The checkpoint after ${envSteps.toLocaleString("en")} steps gives no policy: ${error?.message ?? ""}`;
      return { ...told, run: present({ checkpoints }), remark: { text, reason: error?.reason ?? "" } };
    }
    case "log": {
      const line = event.event.value;
      const remark = line.level === LogLevel.INFO ? {} : { remark: { text: line.text, reason: "" } };
      return { ...told, ...remark, run: present({}), log: [...record.log, line] };
    }
    default:
      return { ...told, run: present({}) };
  }
}

/** Checkpoints with a published controller by growing steps; of those after the same step only the newest. */
export function playable(run: Run): readonly Checkpoint[] {
  const published = run.checkpoints.filter((checkpoint) => checkpoint.policyId !== "");
  const bySteps = new Map(published.map((checkpoint) => [checkpoint.envSteps, checkpoint]));
  return [...bySteps.values()].sort((a, b) => Number(a.envSteps - b.envSteps));
}

/** The checkpoint of the highest return in training, on a tie the newest; undefined of none. */
export function bestOf(checkpoints: readonly Checkpoint[]): Checkpoint | undefined {
  const reached = ({ episodeReturn }: Checkpoint) => episodeReturn ?? Number.NEGATIVE_INFINITY;
  return checkpoints.reduce<Checkpoint | undefined>(
    (best, each) => (best === undefined || reached(each) >= reached(best) ? each : best),
    undefined,
  );
}

function withCheckpoint(checkpoints: readonly Checkpoint[], added: Checkpoint): Checkpoint[] {
  const others = checkpoints.filter((checkpoint) => checkpoint.artifact?.sha256 !== added.artifact?.sha256);
  return [...others, added].sort((a, b) => Number(a.envSteps - b.envSteps));
}
