import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { isComplete, type RunRecord, recordOf, withEvent, withSnapshot } from "./runRecord";
import { createStore, type Store } from "./store";
import { createRunWatch, type WatchTiming } from "./watch";

/** Runs that this tab has seen, by id. */
export interface Runs {
  readonly records: Store<ReadonlyMap<string, RunRecord>>;
  /** Why a run cannot be followed, by id. */
  readonly failures: Store<ReadonlyMap<string, Failure>>;
  /** Why the stream of events does not stand at present. */
  readonly connection: Store<Failure | undefined>;
  /** Takes a run in that a call returned. */
  put(run: Run): void;
  follow(runId: string): void;
  cancel(runId: string): Promise<void>;
  /** Tries a broken stream at once. */
  wake(): void;
  stop(): void;
}

/** The runs of a tab, followed through one stream. */
export function createRuns(trainer: Clients["trainer"], timing?: WatchTiming): Runs {
  const records = createStore<ReadonlyMap<string, RunRecord>>(new Map());
  const failures = createStore<ReadonlyMap<string, Failure>>(new Map());
  const connection = createStore<Failure | undefined>(undefined);

  const write = (runId: string, change: (record: RunRecord | undefined) => RunRecord | undefined) =>
    records.set((map) => {
      const record = change(map.get(runId));
      return record ? new Map(map).set(runId, record) : map;
    });

  const watch = createRunWatch(
    trainer,
    {
      snapshot: (run) => write(run.runId, (record) => withSnapshot(record, run)),
      event: (event) => write(event.runId, (record) => record && withEvent(record, event, performance.now())),
      revisionOf: (runId) => records.get().get(runId)?.revision ?? 0n,
      isComplete: (runId) => {
        const record = records.get().get(runId);
        return record !== undefined && isComplete(record);
      },
      startOver: (runId) => write(runId, (record) => record && recordOf(record.run)),
      missing: (runId, failure) => failures.set((map) => new Map(map).set(runId, failure)),
      connection: (failure) => connection.set(failure),
    },
    timing,
  );

  return {
    records,
    failures,
    connection,
    put: (run) =>
      write(run.runId, (record) => (record && record.run.revision > run.revision ? record : withSnapshot(record, run))),
    follow: (runId) => watch.follow(runId),
    async cancel(runId) {
      try {
        const { run } = await trainer.cancelRun({ runId });
        if (run) write(runId, (record) => withSnapshot(record, run));
      } catch (thrown) {
        throw failureFrom(thrown);
      }
    },
    wake: () => watch.wake(),
    stop: () => watch.stop(),
  };
}
