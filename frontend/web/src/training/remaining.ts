import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { hasEnded, type RunRecord } from "../stores/runRecord";

/** Practice done, 0 to 1. */
export function progressOf({ run }: RunRecord): number {
  if (run.state === RunState.SUCCEEDED) return 1;
  const wanted = Number(run.spec?.settings?.envSteps ?? 0n);
  return wanted > 0 ? Math.min(1, Number(run.metrics?.envSteps ?? 0n) / wanted) : 0;
}

/** Estimated seconds to the end at `nowMs` by the page's clock; undefined when there is nothing to go by. */
export function remainingSecs({ run, metricsAtMs }: RunRecord, nowMs: number): number | undefined {
  if (hasEnded(run.state) || !run.metrics) return undefined;
  const sinceSecs = metricsAtMs > 0 ? (nowMs - metricsAtMs) / 1000 : 0;
  return Math.max(0, run.metrics.remainingSecs - sinceSecs);
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
