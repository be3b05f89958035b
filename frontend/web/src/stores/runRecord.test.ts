import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type RunEvent, RunEventSchema, RunSchema, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { playable, recordOf, withEvent, withSnapshot } from "./runRecord";

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
