import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import type { Run, RunEvent, WatchRunsResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { pause } from "../rpc/reliability";

/** What a watch tells. */
export interface WatchListener {
  snapshot(run: Run): void;
  event(event: RunEvent): void;
  /** The revision from which this run's events are wanted; 0 for all. */
  revisionOf(runId: string): bigint;
  /** Whether the run has ended and every event of it has been told. */
  isComplete(runId: string): boolean;
  /** What is on record is no longer valid: events are told from the first again. */
  startOver(runId: string): void;
  /** There is no such run; it is no longer watched. */
  missing(runId: string, failure: Failure): void;
  /** Whether the stream stands, or why it does not. */
  connection(failure: Failure | undefined): void;
}

/** The one stream that follows all runs of this tab. */
export interface RunWatch {
  follow(runId: string): void;
  unfollow(runId: string): void;
  /** Ends the back-off and tries at once. */
  wake(): void;
  stop(): void;
}

/** Timing of the watch, in milliseconds. */
export interface WatchTiming {
  readonly firstDelayMs: number;
  readonly largestDelayMs: number;
  /** Silence after which the stream counts as dead; heartbeats come every 15 s. */
  readonly silenceMs: number;
}

const TIMING: WatchTiming = { firstDelayMs: 500, largestDelayMs: 10_000, silenceMs: 40_000 };

/**
 * Follows any number of runs through ONE stream, because a browser has six connections per origin over HTTP/1.1. When the set
 * of runs changes or the stream breaks or ends early, it is opened again with the last revisions seen, with growing pauses.
 */
export function createRunWatch(
  trainer: Clients["trainer"],
  listener: WatchListener,
  timing: WatchTiming = TIMING,
): RunWatch {
  const followed = new Set<string>();
  let stream: AbortController | undefined;
  let wakeUp: (() => void) | undefined;
  let looping = false;
  let stopped = false;

  function reopen(): void {
    if (stopped) return;
    stream?.abort();
    wakeUp?.();
    if (!looping && followed.size > 0) void loop();
  }

  async function loop(): Promise<void> {
    looping = true;
    let delayMs = timing.firstDelayMs;
    const backOff = async () => {
      await Promise.race([pause(delayMs), new Promise<void>((resolve) => (wakeUp = resolve))]);
      wakeUp = undefined;
      delayMs = Math.min(delayMs * 2, timing.largestDelayMs);
    };
    while (followed.size > 0 && !stopped) {
      // Several runs followed in one go share the stream that opens next.
      await Promise.resolve();
      const attempt = new AbortController();
      stream = attempt;
      const silence = silenceAlarm(attempt, timing.silenceMs);
      const asked = [...followed];
      try {
        for await (const message of trainer.watchRuns(
          { cursors: asked.map((runId) => ({ runId, afterRevision: listener.revisionOf(runId) })) },
          { signal: attempt.signal, timeoutMs: 0 },
        )) {
          silence.heard();
          // A snapshot alone comes from a stream that breaks off at once, too.
          if (message.update.case !== "snapshot") delayMs = timing.firstDelayMs;
          listener.connection(undefined);
          tell(message);
        }
        // By contract the stream ends by itself only when all it was asked for has ended and been told; a service or a
        // gateway that restarts may end it earlier.
        for (const runId of asked) if (listener.isComplete(runId)) followed.delete(runId);
        listener.connection(undefined);
        if (asked.some((runId) => followed.has(runId)) && !attempt.signal.aborted) await backOff();
      } catch (thrown) {
        const restarted = attempt.signal.aborted && !silence.rang();
        if (!restarted && !handled(thrown)) {
          listener.connection(failureFrom(thrown));
          await backOff();
        }
      } finally {
        silence.off();
      }
    }
    looping = false;
  }

  function tell({ update }: WatchRunsResponse): void {
    if (update.case === "snapshot") listener.snapshot(update.value);
    if (update.case === "event") {
      const expected = listener.revisionOf(update.value.runId) + 1n;
      if (update.value.revision > expected) throw new LostEvents(update.value.runId);
      listener.event(update.value);
    }
  }

  /** Prepares the next request; true when it may go out at once, false when waiting comes first. */
  function handled(thrown: unknown): boolean {
    if (thrown instanceof LostEvents) {
      listener.startOver(thrown.runId);
      return false;
    }
    const error = ConnectError.from(thrown);
    if (error.code === Code.OutOfRange) {
      for (const runId of followed) listener.startOver(runId);
      return false;
    }
    if (error.code === Code.NotFound) {
      const named = error.findDetails(ErrorInfoSchema)[0]?.metadata.run_id;
      const missing = named && followed.has(named) ? [named] : followed.size === 1 ? [...followed] : [];
      for (const runId of missing) {
        followed.delete(runId);
        listener.missing(runId, failureFrom(error));
      }
      return missing.length > 0;
    }
    return false;
  }

  return {
    follow(runId) {
      if (followed.has(runId)) return;
      followed.add(runId);
      reopen();
    },
    unfollow(runId) {
      if (followed.delete(runId)) reopen();
    },
    wake: () => wakeUp?.(),
    stop() {
      stopped = true;
      followed.clear();
      stream?.abort();
      wakeUp?.();
    },
  };
}

class LostEvents extends Error {
  constructor(readonly runId: string) {
    super(`events of run ${runId} are missing`);
  }
}

function silenceAlarm(attempt: AbortController, silenceMs: number) {
  let rang = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      rang = true;
      attempt.abort();
    }, silenceMs);
  };
  heard();
  return { heard, rang: () => rang, off: () => clearTimeout(timer) };
}
