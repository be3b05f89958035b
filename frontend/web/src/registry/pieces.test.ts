import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { GetLineageResponseSchema, LineageKind, PolicyDifferenceSchema } from "../gen/tabrl/exporter/v1/registry_pb";
import { differenceRow } from "../policies/differenceRows";
import { byRun } from "./byRun";
import { layOut, NODE_HEIGHT_PX, NODE_WIDTH_PX } from "./lineageLayout";
import { madeElsewhere, nodePlace, nodeTitle } from "./lineageNodes";
import { EMPTY, slotOf, withSlot } from "./slots";

const difference = (name: string, left: string, right: string, change?: number) =>
  create(PolicyDifferenceSchema, { name, left, right, ...(change === undefined ? {} : { change }) });

test("given a larger return of the same reward, then the change has its sign and counts as better", () => {
  expect(differenceRow(difference("mean_return", "770.433", "839.492", 69.059), true)).toMatchObject({
    label: "Mean return",
    left: "770",
    right: "839",
    change: "+69.1",
    effect: "better",
  });
});

test("given returns of different rewards, then none counts as better", () => {
  expect(differenceRow(difference("mean_return", "1", "2", 1), false).effect).toBe("");
});

test("given shares, counts and weights, then each is told in its own unit", () => {
  expect(differenceRow(difference("mean_survived", "1", "0.4", -0.6), true)).toMatchObject({
    left: "100\u00a0%",
    change: "−60\u00a0%",
    effect: "worse",
  });
  expect(differenceRow(difference("env_steps", "3,000,320", "2,560", -2_997_760), true)).toMatchObject({
    left: "3M",
    right: "2.6k",
    change: "−3M",
    effect: "",
  });
  expect(differenceRow(difference("reward.weights.upright", "", "0.5"), true)).toMatchObject({
    label: "Weight of upright",
    left: "–",
    change: "",
  });
  expect(differenceRow(difference("prompt", "1", "dance"), true).left).toBe("1");
});

test("given a lineage, then what came first is to the left, no two boxes overlap and each edge has its path", () => {
  const lineage = create(GetLineageResponseSchema, {
    nodes: [
      { kind: LineageKind.POLICY, id: "p" },
      { kind: LineageKind.CHECKPOINT, id: "c" },
      { kind: LineageKind.RUN, id: "r" },
      { kind: LineageKind.PROMPT, id: "dance" },
      { kind: LineageKind.ENVIRONMENT, id: "WalkerWalk" },
    ],
    edges: [
      { source: 1, target: 0 },
      { source: 2, target: 1 },
      { source: 3, target: 2 },
      { source: 4, target: 2 },
    ],
  });
  const { nodes, edges, width } = layOut(lineage);
  const [policy, checkpoint, run, prompt, environment] = nodes;
  expect([prompt, run, checkpoint, policy].map((node) => node?.x)).toEqual(
    [prompt, run, checkpoint, policy].map((node) => node?.x).sort((a = 0, b = 0) => a - b),
  );
  expect((policy?.x ?? 0) + NODE_WIDTH_PX).toBeLessThanOrEqual(width);
  expect(Math.abs((prompt?.y ?? 0) - (environment?.y ?? 0))).toBeGreaterThanOrEqual(NODE_HEIGHT_PX);
  expect(edges.length).toBe(4);
});

test("given nodes of each kind, then those that can be looked at lead there", () => {
  const [reward, digest] = create(GetLineageResponseSchema, {
    nodes: [
      { kind: LineageKind.REWARD, id: "a".repeat(64), title: "reward-1" },
      { kind: LineageKind.CHECKPOINT, id: "b".repeat(64) },
    ],
  }).nodes;
  expect(reward && nodePlace(reward, false)).toEqual({ rewardId: "reward-1" });
  expect(digest && nodePlace(digest, false)).toBeUndefined();
  expect(digest && nodeTitle(digest)).toBe("bbbbbbbbbb…");
});

test("given an imported policy and what was trained on from it, then only what was made before the import leads nowhere", () => {
  const lineage = create(GetLineageResponseSchema, {
    nodes: [
      { kind: LineageKind.POLICY, id: "imported" },
      { kind: LineageKind.BUNDLE, id: "b".repeat(64) },
      { kind: LineageKind.RUN, id: "their-run" },
      { kind: LineageKind.REWARD, id: "r".repeat(64), title: "their-reward" },
      { kind: LineageKind.CHECKPOINT, id: "c".repeat(64) },
      { kind: LineageKind.RUN, id: "our-run" },
    ],
    edges: [
      { source: 1, target: 0 },
      { source: 4, target: 0 },
      { source: 2, target: 4 },
      { source: 3, target: 2 },
      { source: 4, target: 5 },
    ],
  });
  const elsewhere = madeElsewhere(lineage);
  const places = lineage.nodes.map((node, index) => nodePlace(node, elsewhere.has(index)));
  expect(places).toEqual([{ policyId: "imported" }, undefined, undefined, undefined, undefined, { runId: "our-run" }]);
});

test("given a version in A, when it is put into B, then the two change places, and once more empties the slot", () => {
  const both = withSlot(withSlot(EMPTY, "A", 3), "B", 5);
  expect(withSlot(both, "B", 3)).toEqual({ A: 5, B: 3 });
  expect(withSlot(both, "A", 3)).toEqual({ A: 0, B: 5 });
  expect(slotOf(both, 5)).toBe("B");
});

test("given policies of runs, then those of one run are together, and an imported one is alone", () => {
  const policy = (policyId: string, runId: string, imported = false) =>
    create(PolicySchema, { policyId, runId, ...(imported ? { imported: {} } : {}) });
  const groups = byRun([policy("a2", "a"), policy("b1", "b"), policy("x", "a", true), policy("a1", "a")]);
  expect(groups.map(({ newest, earlier }) => [newest.policyId, ...earlier.map(({ policyId }) => policyId)])).toEqual([
    ["a2", "a1"],
    ["b1"],
    ["x"],
  ]);
});
