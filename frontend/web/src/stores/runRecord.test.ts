import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  CheckpointSchema,
  type RunEvent,
  RunEventSchema,
  RunSchema,
  RunState,
} from "../gen/tabrl/trainer/v1/trainer_pb";
import { remainingSecs, speedOf } from "../training/remaining";
import { bestOf, playable, recordOf, withEvent, withSnapshot } from "./runRecord";

const event = (revision: bigint, what: Parameters<typeof create<typeof RunEventSchema>>[1]): RunEvent =>
  create(RunEventSchema, { runId: "r", revision, ...what });

test("given a snapshot of an ended run, when its events are replayed, then the state stays and the history grows", () => {
  const record = recordOf(create(RunSchema, { runId: "r", state: RunState.SUCCEEDED, revision: 3n }));
  const replayed = [
    event(1n, { event: { case: "stateChanged", value: { state: RunState.RUNNING } } }),
    event(2n, { event: { case: "metrics", value: { envSteps: 10n } } }),
    event(3n, { event: { case: "stateChanged", value: { state: RunState.SUCCEEDED } } }),
  ].reduce((now, each) => withEvent(now, each, 0), record);
  expect(replayed.run.state).toBe(RunState.SUCCEEDED);
  expect(replayed.history.length).toBe(1);
  expect(replayed.revision).toBe(3n);
});

test("given a checkpoint, when its policy is published, then it becomes playable; told twice it counts once", () => {
  const sha256 = "d".repeat(64);
  const record = recordOf(create(RunSchema, { runId: "r", state: RunState.RUNNING }));
  const written = event(1n, { event: { case: "checkpoint", value: { envSteps: 500n, artifact: { sha256 } } } });
  const published = event(2n, {
    event: { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "p" } },
  });
  const once = [written, published, written, published].reduce((now, each) => withEvent(now, each, 0), record);
  expect(playable(once.run).map(({ policyId, envSteps }) => [policyId, envSteps])).toEqual([["p", 500n]]);
});

test("given a history, when a newer snapshot comes, then the history stays", () => {
  const record = withEvent(
    recordOf(create(RunSchema, { runId: "r" })),
    event(1n, { event: { case: "metrics", value: { envSteps: 1n } } }),
    0,
  );
  const next = withSnapshot(record, create(RunSchema, { runId: "r", state: RunState.FAILED, revision: 9n }));
  expect(next.history.length).toBe(1);
  expect(next.run.state).toBe(RunState.FAILED);
});

test("given a run that resumed from an earlier step, then the curve goes on from there and never turns back", () => {
  const metrics = (revision: bigint, envSteps: bigint, episodeReturn: number) =>
    event(revision, {
      event: { case: "metrics", value: { envSteps, episodeReturn, remainingSecs: 9, envStepsPerSec: 50 } },
    });
  const told = [
    metrics(1n, 100n, 1),
    metrics(2n, 200n, 2),
    metrics(3n, 300n, 3),
    event(4n, { event: { case: "stateChanged", value: { state: RunState.STARTING } } }),
    event(5n, { event: { case: "stateChanged", value: { state: RunState.RUNNING } } }),
  ].reduce((now, each) => withEvent(now, each, 1000), recordOf(create(RunSchema, { runId: "r" })));
  expect(remainingSecs(told, 1000)).toBeUndefined();
  expect(speedOf(told)).toBeUndefined();
  const resumed = withEvent(told, metrics(6n, 150n, 9), 2000);
  expect(resumed.history.map(({ envSteps, episodeReturn }) => [envSteps, episodeReturn])).toEqual([
    [100n, 1],
    [150n, 9],
  ]);
  expect(remainingSecs(resumed, 4000)).toBe(7);
  expect(speedOf(resumed)).toBeUndefined();
  expect(speedOf(withEvent(resumed, metrics(7n, 250n, 9), 3000))).toBe(50);
});

test("given two policies after the same step, then only the newer counts; of equal returns the newest is best", () => {
  const checkpoint = (envSteps: bigint, policyId: string, episodeReturn?: number) =>
    create(CheckpointSchema, { envSteps, policyId, ...(episodeReturn === undefined ? {} : { episodeReturn }) });
  const checkpoints = [
    checkpoint(2n, "old", 5),
    checkpoint(1n, "first"),
    checkpoint(2n, "new", 5),
    checkpoint(3n, "", 9),
  ];
  const list = playable(create(RunSchema, { checkpoints }));
  expect(list.map(({ policyId }) => policyId)).toEqual(["first", "new"]);
  expect(bestOf(list)?.policyId).toBe("new");
  expect(bestOf([...list, checkpoint(4n, "last", 5)])?.policyId).toBe("last");
  expect(bestOf([])).toBeUndefined();
});
