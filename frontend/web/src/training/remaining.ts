import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { hasEnded, type RunRecord } from "../stores/runRecord";

/** Practice done, 0 to 1. */
export function progressOf({ run }: RunRecord): number {
  if (run.state === RunState.SUCCEEDED) return 1;
  const wanted = Number(run.spec?.settings?.envSteps ?? 0n);
  return wanted > 0 ? Math.min(1, Number(run.metrics?.envSteps ?? 0n) / wanted) : 0;
}

// Metrics come every second or so; a countdown that has heard nothing for so long would only pretend.
const SILENCE_SECS = 30;

/**
 * Estimated seconds to the end at `nowMs` by the page's clock; undefined when there is nothing to go by, as before the first
 * metrics of a process, or when they stay away.
 */
export function remainingSecs({ run, metricsAtMs }: RunRecord, nowMs: number): number | undefined {
  if (hasEnded(run.state) || !run.metrics || metricsAtMs === undefined) return undefined;
  const sinceSecs = (nowMs - metricsAtMs) / 1000;
  return sinceSecs > SILENCE_SECS ? undefined : Math.max(0, run.metrics.remainingSecs - sinceSecs);
}

/** Control steps per second at present, or at the end; undefined while nothing has been measured, or nobody trains. */
export function speedOf({ run, metricsAtMs, steady }: RunRecord): number | undefined {
  if (!run.metrics || !steady || metricsAtMs === undefined) return undefined;
  return run.metrics.envStepsPerSec >= 1 ? run.metrics.envStepsPerSec : undefined;
}

/** Seconds a run has trained or did train; undefined before it started. */
export function elapsedSecs({ run }: RunRecord, nowUnixMs: number): number | undefined {
  if (!run.startTime) return undefined;
  const endMs = run.endTime ? unixMs(run.endTime) : nowUnixMs;
  return Math.max(0, (endMs - unixMs(run.startTime)) / 1000);
}

function unixMs({ seconds, nanos }: { seconds: bigint; nanos: number }): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
