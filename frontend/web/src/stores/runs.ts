import type { Run, RunEvent } from "../gen/tabrl/trainer/v1/trainer_pb";
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
  /** Ids of runs that a person deleted and may still take back; lists that are read meanwhile leave them out. */
  readonly leaving: Set<string>;
  /** Why the stream of events does not stand at present. */
  readonly connection: Store<Failure | undefined>;
  /** Takes a run in that a call returned. */
  put(run: Run): void;
  follow(runId: string): void;
  /** Each of these throws a Failure. */
  cancel(runId: string): Promise<void>;
  pause(runId: string): Promise<void>;
  /** Goes on with a paused run. */
  goOn(runId: string): Promise<void>;
  /** Changes what people wrote beside a run; what is left out stays. */
  annotate(runId: string, notes: RunNotes): Promise<void>;
  remove(runId: string): Promise<void>;
  /** Forgets why a run cannot be followed, or was not deleted. */
  dismiss(runId: string): void;
  /** Tries a broken stream at once. */
  wake(): void;
  stop(): void;
}

/** What people wrote beside a run. */
export interface RunNotes {
  readonly notes?: string;
  readonly tags?: readonly string[];
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

  // Histories that are told from their start again; each takes the place of the one on screen once it has come as far.
  const retold = new Map<string, RunRecord>();
  const toldOf = (runId: string) => retold.get(runId) ?? records.get().get(runId);

  function snapshot(run: Run): void {
    const anew = retold.get(run.runId);
    if (anew) retold.set(run.runId, withSnapshot(anew, run));
    write(run.runId, (record) => withSnapshot(record, run));
    settle(run.runId);
  }

  /** An answer that events have overtaken tells no more than what people wrote. */
  function answered(run: Run): void {
    const record = records.get().get(run.runId);
    const { notes, tags } = run;
    if (!record || record.run.revision <= run.revision) snapshot(run);
    else write(run.runId, () => ({ ...record, run: { ...record.run, notes, tags } }));
  }

  function event(told: RunEvent): void {
    const anew = retold.get(told.runId);
    if (!anew) write(told.runId, (record) => record && withEvent(record, told, performance.now()));
    else {
      retold.set(told.runId, withEvent(anew, told, performance.now()));
      settle(told.runId);
    }
  }

  function settle(runId: string): void {
    const anew = retold.get(runId);
    if (!anew || anew.revision < anew.run.revision) return;
    retold.delete(runId);
    write(runId, () => anew);
  }

  const watch = createRunWatch(
    trainer,
    {
      snapshot,
      event,
      revisionOf: (runId) => toldOf(runId)?.revision ?? 0n,
      isComplete: (runId) => {
        const record = toldOf(runId);
        return record !== undefined && isComplete(record);
      },
      startOver: (runId) => {
        const record = records.get().get(runId);
        if (record) retold.set(runId, recordOf(record.run));
      },
      missing: (runId, failure) => failures.set((map) => new Map(map).set(runId, failure)),
      connection: (failure) => connection.set(failure),
    },
    timing,
  );

  async function changed(call: () => Promise<{ readonly run?: Run }>): Promise<void> {
    try {
      const { run } = await call();
      if (run) answered(run);
    } catch (thrown) {
      throw failureFrom(thrown);
    }
  }

  return {
    records,
    failures,
    leaving: new Set(),
    connection,
    put: (run) =>
      write(run.runId, (record) => (record && record.run.revision > run.revision ? record : withSnapshot(record, run))),
    follow: (runId) => watch.follow(runId),
    cancel: (runId) => changed(() => trainer.cancelRun({ runId })),
    pause: (runId) => changed(() => trainer.pauseRun({ runId })),
    goOn: (runId) => changed(() => trainer.continueRun({ runId })),
    annotate: (runId, { notes, tags }) =>
      changed(() =>
        trainer.updateRun({
          runId,
          ...(notes === undefined ? {} : { notes }),
          ...(tags === undefined ? {} : { tags: { values: [...tags] } }),
        }),
      ),
    async remove(runId) {
      watch.unfollow(runId);
      try {
        await trainer.deleteRun({ runId });
      } catch (thrown) {
        throw failureFrom(thrown);
      }
      retold.delete(runId);
      records.set((map) => new Map([...map].filter(([id]) => id !== runId)));
    },
    dismiss: (runId) => failures.set((map) => new Map([...map].filter(([id]) => id !== runId))),
    wake: () => watch.wake(),
    stop: () => watch.stop(),
  };
}
