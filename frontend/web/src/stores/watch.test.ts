import { expect, test } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { pause } from "../rpc/reliability";
import { createBackend } from "../testing/backend";
import { eventually } from "../testing/eventually";
import { createRuns } from "./runs";

const TIMING = { firstDelayMs: 1, largestDelayMs: 5, silenceMs: 60_000 };

async function started(count: number) {
  const backend = createBackend();
  const { trainer } = createClients(backend.transport);
  const runIds: string[] = [];
  for (let index = 0; index < count; index++) {
    const { run } = await trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
    runIds.push(run?.runId ?? "");
  }
  const runs = createRuns(trainer, TIMING);
  return { backend, runs, runIds };
}

test("given three runs, when all are followed, then one stream carries them", async () => {
  const { backend, runs, runIds } = await started(3);
  for (const runId of runIds) runs.follow(runId);
  await eventually(() => expect(runs.records.get().size).toBe(3));
  expect(backend.watches.open).toBe(1);
  expect(backend.watches.requests.at(-1)?.cursors.map(({ runId }) => runId)).toEqual(runIds);
  runs.stop();
});

test("given a followed run, when another is followed, then the stream is opened anew from the revisions seen", async () => {
  const { backend, runs, runIds } = await started(2);
  const [first = "", second = ""] = runIds;
  runs.follow(first);
  backend.append(first, { case: "stateChanged", value: { state: RunState.RUNNING } });
  await eventually(() => expect(runs.records.get().get(first)?.revision).toBe(1n));
  runs.follow(second);
  await eventually(() => expect(runs.records.get().has(second)).toBe(true));
  expect(backend.watches.open).toBe(1);
  expect(backend.watches.requests.at(-1)?.cursors.map(({ afterRevision }) => afterRevision)).toEqual([1n, 0n]);
  runs.stop();
});

test("given a broken stream, when the service returns, then no event is lost or told twice", async () => {
  const { backend, runs, runIds } = await started(1);
  const [runId = ""] = runIds;
  runs.follow(runId);
  backend.append(runId, { case: "metrics", value: { envSteps: 100n } });
  await eventually(() => expect(runs.records.get().get(runId)?.history.length).toBe(1));

  backend.setDown("trainer", true);
  backend.breakWatches();
  await eventually(() => expect(runs.connection.get()?.status).toBe("UNAVAILABLE"));
  backend.append(runId, { case: "metrics", value: { envSteps: 200n } });
  backend.append(runId, { case: "metrics", value: { envSteps: 300n } });
  backend.setDown("trainer", false);

  await eventually(() => {
    const steps = runs.records
      .get()
      .get(runId)
      ?.history.map(({ envSteps }) => envSteps);
    expect(steps).toEqual([100n, 200n, 300n]);
  });
  expect(runs.connection.get()).toBeUndefined();
  runs.stop();
});

test("given a stream that ends while a run goes on, when the service returns, then only that run is followed on", async () => {
  const { backend, runs, runIds } = await started(2);
  const [going = "", done = ""] = runIds;
  runs.follow(going);
  runs.follow(done);
  backend.append(going, { case: "metrics", value: { envSteps: 100n } });
  backend.append(done, { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  await eventually(() => {
    expect(runs.records.get().get(going)?.revision).toBe(1n);
    expect(runs.records.get().get(done)?.revision).toBe(1n);
  });

  backend.setDown("trainer", true);
  backend.endWatches();
  await eventually(() => expect(runs.connection.get()?.status).toBe("UNAVAILABLE"));
  backend.append(going, { case: "metrics", value: { envSteps: 200n } });
  backend.setDown("trainer", false);

  await eventually(() => expect(runs.records.get().get(going)?.history.length).toBe(2));
  expect(
    runs.records
      .get()
      .get(going)
      ?.history.map(({ envSteps }) => envSteps),
  ).toEqual([100n, 200n]);
  expect(backend.watches.requests.at(-1)?.cursors.map(({ runId, afterRevision }) => [runId, afterRevision])).toEqual([
    [going, 1n],
  ]);
  runs.stop();
});

test("given an ended run, when it is followed, then its history is replayed and the stream is not opened again", async () => {
  const { backend, runs, runIds } = await started(1);
  const [runId = ""] = runIds;
  backend.append(runId, { case: "stateChanged", value: { state: RunState.RUNNING } });
  backend.append(runId, { case: "metrics", value: { envSteps: 100n, episodeReturn: 7 } });
  backend.append(runId, { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  runs.follow(runId);
  await eventually(() => expect(runs.records.get().get(runId)?.revision).toBe(3n));
  const record = runs.records.get().get(runId);
  expect(record?.run.state).toBe(RunState.SUCCEEDED);
  expect(record?.history.map(({ episodeReturn }) => episodeReturn)).toEqual([7]);
  await eventually(() => expect(backend.watches.open).toBe(0));
  await pause(20);
  expect(backend.watches.requests.length).toBe(1);
});

test("given an unknown run among others, when they are followed, then it is reported missing and the others go on", async () => {
  const { backend, runs, runIds } = await started(1);
  const [runId = ""] = runIds;
  runs.follow(runId);
  runs.follow("run-of-elsewhere");
  await eventually(() => expect(runs.failures.get().get("run-of-elsewhere")?.reason).toBe("RUN_NOT_FOUND"));
  backend.append(runId, { case: "stateChanged", value: { state: RunState.STARTING } });
  await eventually(() => expect(runs.records.get().get(runId)?.run.state).toBe(RunState.STARTING));
  runs.stop();
});

test("given a revision that has expired, when the history is told anew, then what was shown stays until it is there", async () => {
  const { backend, runs, runIds } = await started(1);
  const [runId = ""] = runIds;
  runs.follow(runId);
  for (const envSteps of [100n, 200n, 300n]) backend.append(runId, { case: "metrics", value: { envSteps } });
  await eventually(() => expect(runs.records.get().get(runId)?.history.length).toBe(3));
  const lengths = new Set<number>();
  runs.records.subscribe(() => lengths.add(runs.records.get().get(runId)?.history.length ?? 0));

  backend.expire(runId);
  backend.endWatches();
  await eventually(() =>
    expect(backend.watches.requests.at(-1)?.cursors.map(({ afterRevision }) => afterRevision)).toEqual([0n]),
  );
  backend.append(runId, { case: "metrics", value: { envSteps: 400n } });

  await eventually(() => expect(runs.records.get().get(runId)?.history.length).toBe(4));
  expect(Math.min(...lengths)).toBe(3);
  expect(runs.records.get().get(runId)?.revision).toBe(4n);
  runs.stop();
});

test("given a run, when it is paused, continued and annotated, then the record follows", async () => {
  const { runs, runIds } = await started(1);
  const [runId = ""] = runIds;
  runs.follow(runId);
  const run = () => runs.records.get().get(runId)?.run;
  await eventually(() => expect(run()).toBeTruthy());
  await runs.pause(runId);
  expect(run()?.state).toBe(RunState.PAUSED);
  await runs.goOn(runId);
  expect(run()?.state).toBe(RunState.QUEUED);
  await runs.annotate(runId, { tags: ["smooth"], notes: "leans" });
  await runs.annotate(runId, { notes: "leans less" });
  expect(run()).toMatchObject({ tags: ["smooth"], notes: "leans less" });
  await expect(runs.remove(runId)).rejects.toMatchObject({ reason: "RUN_NOT_ENDED" });
  expect(run()).toBeTruthy();
  runs.stop();
});

test("given a run that ends while notes are written, when the answer comes after that, then the notes are kept and the run has ended", async () => {
  const { backend, runIds } = await started(1);
  const [runId = ""] = runIds;
  const { trainer } = createClients(backend.transport);
  const slow = Object.assign(Object.create(trainer) as typeof trainer, {
    updateRun: async (...request: Parameters<typeof trainer.updateRun>) => {
      const answer = await trainer.updateRun(...request);
      backend.append(runId, { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
      await eventually(() => expect(runs.records.get().get(runId)?.run.state).toBe(RunState.SUCCEEDED));
      return answer;
    },
  });
  const runs = createRuns(slow, TIMING);
  runs.follow(runId);
  await eventually(() => expect(runs.records.get().has(runId)).toBe(true));

  await runs.annotate(runId, { notes: "leans" });

  const { state, notes } = runs.records.get().get(runId)?.run ?? {};
  expect({ state, notes }).toEqual({ state: RunState.SUCCEEDED, notes: "leans" });
  runs.stop();
});
