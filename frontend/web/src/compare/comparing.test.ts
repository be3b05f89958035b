import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { EvaluationSummarySchema } from "../gen/tabrl/inference/v1/inference_pb";
import { EnvironmentSummarySchema } from "../gen/tabrl/scene/v1/scene_pb";
import { CheckpointSchema, RunSchema } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { PlayerTick } from "../player";
import { rewardKey } from "../policies/rewardKey";
import { clearlyAbove, sampleOf } from "../policies/statistics";
import { csvOf, markdownOf, rowsOf } from "./evaluationTable";
import { comparedOf, lanesFrom, withLane, withLaneMoved, withoutLane } from "./lanes";
import { leaderOf } from "./live";
import { refusal } from "./pickable";
import { radarAnchor, radarPoint, radarPolygon } from "./radar";
import { startsFrom } from "./starts";
import { checkpointAt, followers, lanesChosen, type SteppedLane, stopPlayed, stops } from "./stepScale";

const checkpoint = (run: string, steps: number, episodeReturn = steps) =>
  create(CheckpointSchema, { envSteps: BigInt(steps), policyId: `${run}-${steps}`, episodeReturn });
const lane = (run: string, at: number, ...steps: number[]): SteppedLane => ({
  policyId: `${run}-${at}`,
  runId: run,
  checkpoints: steps.map((each) => checkpoint(run, each)),
});

test("given an address with six policies, when it is read, then four are lanes and two are left out", () => {
  expect(lanesFrom(["a", "b", "c", "d", "e", "f"])).toEqual({ ids: ["a", "b", "c", "d"], leftOut: 2 });
  expect(comparedOf(["a", "b"])).toBe("a,b");
});

test("given lanes, when one is added, moved or removed, then the order is as asked for and nothing is there twice", () => {
  expect(withLane(["a"], "b")).toEqual(["a", "b"]);
  expect(withLane(["a", "b"], "a")).toEqual(["a", "b"]);
  expect(withLane(["a", "b", "c", "d"], "e")).toEqual(["a", "b", "c", "d"]);
  expect(withLaneMoved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(withLaneMoved(["a", "b", "c"], 2, 0)).toEqual(["c", "a", "b"]);
  expect(withLaneMoved(["a", "b"], 1, 2)).toEqual(["a", "b"]);
  expect(withoutLane(["a", "b"], 0)).toEqual(["b"]);
});

test("given runs of different length, when the slider moves, then each plays its newest at or before, or else its first", () => {
  const lanes = [lane("p", 100, 100, 200, 300), lane("q", 250, 250, 500)];
  expect(stops(lanes)).toEqual([100, 200, 250, 300, 500]);
  const at = (steps: number) => lanesChosen(lanes, (of) => checkpointAt(of, steps));
  expect(at(100)).toEqual(["p-100", "q-250"]);
  expect(at(260)).toEqual(["p-200", "q-250"]);
  expect(at(500)).toEqual(["p-300", "q-500"]);
});

test("given two lanes of one run, when the slider moves, then the last goes with it and the first stays", () => {
  const lanes = [lane("p", 100, 100, 200), lane("p", 200, 100, 200), { policyId: "x", runId: "", checkpoints: [] }];
  expect(followers(lanes)).toEqual([false, true, false]);
  expect(lanesChosen(lanes, (of) => checkpointAt(of, 100))).toEqual(["p-100", "p-100", "x"]);
});

test("given what plays, when the slider is shown, then it stands at the last stop that plays the same", () => {
  expect(stopPlayed([lane("p", 200, 100, 200, 300), lane("q", 250, 250, 500)])).toBe(250);
  // No stop plays these two together, so the one that practised more decides.
  expect(stopPlayed([lane("p", 100, 100, 200, 300), lane("q", 500, 250, 500)])).toBe(500);
});

test("given a chosen robot, when others are offered, then each that cannot be added says why", () => {
  const environments = [
    ["WalkerWalk", "Walker"],
    ["WalkerStand", "Walker"],
    ["CartpoleBalance", "Cartpole"],
  ].map(([environmentId = "", robot = ""]) => create(EnvironmentSummarySchema, { environmentId, robot }));
  const present = { ids: ["a"], environmentId: "WalkerWalk" };
  const offer = (policyId: string, environmentId: string, ids = present.ids) =>
    refusal({ policyId, environmentId }, { ...present, ids }, environments);
  expect(offer("b", "WalkerWalk")).toBe("");
  expect(offer("a", "WalkerWalk")).toBe("compared already");
  expect(offer("b", "CartpoleBalance")).toBe("drives another robot");
  expect(offer("b", "WalkerStand")).toBe("drives in another task");
  expect(offer("e", "WalkerWalk", ["a", "b", "c", "d"])).toBe("four is the most");
  expect(refusal({ policyId: "b", environmentId: "CartpoleBalance" }, { ids: [], environmentId: "" }, [])).toBe("");
});

test("given rewards, when they are held against each other, then a weight of 1 is as good as none and another is another reward", () => {
  const policy = (weights: Record<string, number>) =>
    create(PolicySchema, { environmentId: "WalkerWalk", reward: { programSha256: "a", weights } });
  expect(rewardKey(policy({ upright: 1, effort: 0.5 }))).toBe(rewardKey(policy({ effort: 0.5 })));
  expect(rewardKey(policy({ effort: 0.5 }))).not.toBe(rewardKey(policy({ effort: 0.6 })));
  expect(rewardKey(policy({}))).not.toBe(rewardKey(create(PolicySchema, { environmentId: "WalkerWalk" })));
});

test("given two samples, when their means differ, then only a lead above two standard errors is clear", () => {
  expect(sampleOf([1, 2, 3])).toEqual({ count: 3, mean: 2, std: 1 });
  // The standard error of the difference is √(1/3 + 1/3) = 0.816.
  expect(clearlyAbove(sampleOf([3, 4, 5]), sampleOf([1, 2, 3]))).toBe(true);
  expect(clearlyAbove(sampleOf([2.6, 3.6, 4.6]), sampleOf([1, 2, 3]))).toBe(false);
  expect(clearlyAbove(sampleOf([9]), sampleOf([1]))).toBe(false);
  expect(clearlyAbove(sampleOf([5, 5]), sampleOf([5, 5]))).toBe(false);
});

test("given shares, when they are drawn, then the first axis points upwards and nothing leaves the chart", () => {
  expect(radarPolygon([1, 0.5, 0.25, undefined], 100)).toBe("0,-100 50,0 0,25 0,0");
  expect(radarPoint(0, 6, 1.7, 100).y).toBe(-100);
  expect([0, 1, 3, 5].map((axis) => radarAnchor(axis, 6))).toEqual(["middle", "start", "middle", "end"]);
});

test("given evaluations, when they are tabled, then the best of each row is marked, for latency the least and for ties none", () => {
  const column = (name: string, meanReturn: number, controlLatencySecs: number, reward = "own") => ({
    name,
    rewardKey: reward,
    summary: create(EvaluationSummarySchema, {
      meanReturn,
      stdReturn: 2,
      meanSurvived: 1,
      termReturns: { upright: meanReturn },
      controlLatencySecs,
    }),
  });
  const columns = [column("A, walk", 10, 0.0002), column("B", 12, 0.0001)];
  const rows = rowsOf(columns);
  expect(rows.map(({ title, best }) => [title, best])).toEqual([
    ["Mean return", 1],
    ["Lasted", undefined],
    ["Upright", 1],
    ["Time of a decision", 1],
  ]);
  expect(csvOf(columns, rows).split("\n").slice(0, 3)).toEqual([
    ',"A, walk",B',
    "Mean return,10,12",
    "Standard deviation of the return,2,2",
  ]);
  expect(markdownOf(columns, rows)).toContain("| Mean return | 10 ± 2 | **12 ± 2** |");
  const unlike = rowsOf([column("A", 10, 0.1), column("B", 12, 0.2, "other")]);
  expect(unlike.map(({ best }) => best)).toEqual([undefined, undefined, undefined, 0]);
});

test("given robots that play, when one is clearly ahead, then it leads; with different rewards only the last one standing", () => {
  const tick = (episodeReturn: number, ended: PlayerTick["ended"] = "", driven = true) =>
    ({ episodeReturn, ended, driven }) as PlayerTick;
  expect(leaderOf([tick(10), tick(12)], true)).toBe(1);
  expect(leaderOf([tick(10), tick(10.1)], true)).toBe(-1);
  expect(leaderOf([tick(10), undefined, tick(99, "", false)], true)).toBe(-1);
  expect(leaderOf([tick(10), tick(99, "done")], false)).toBe(0);
  expect(leaderOf([tick(10), tick(99)], false)).toBe(-1);
});

test("given earlier runs, when a comparison begins, then how far the last one came is offered first, then the best of one robot", () => {
  const run = (runId: string, environmentId: string, returns: readonly number[]) =>
    create(RunSchema, {
      runId,
      spec: { environmentId },
      checkpoints: returns.map((value, index) => checkpoint(runId, 100 * (index + 1), value)),
    });
  const runs = [run("r", "WalkerWalk", [5]), run("s", "WalkerWalk", [1, 9, 4]), run("t", "CartpoleBalance", [1, 2])];
  expect(startsFrom(runs).map(({ ids }) => ids)).toEqual([
    ["s-100", "s-200"],
    ["r-100", "s-200"],
    ["t-100", "t-200"],
  ]);
  expect(startsFrom([run("r", "WalkerWalk", [])])).toEqual([]);
});
