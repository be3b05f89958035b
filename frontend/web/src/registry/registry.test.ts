import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { nameProblem, spelt, suggestedName, tagProblem } from "./naming";
import { verdictOf } from "./verdict";

type Made = MessageInitShape<typeof PolicySchema>;

const policy = (made: Made) => create(PolicySchema, { environmentId: "WalkerWalk", ...made });

function measured(meanReturn: number, stdReturn: number, meanSurvived = 1, episodes = 5, rest: Made = {}) {
  return policy({ measurements: [{ episodes, meanReturn, stdReturn, meanSurvived }], ...rest });
}

test.each([
  ["go1-dance", undefined],
  ["", "Give it a name"],
  ["-dance", "a letter or digit first"],
  ["Dance", "lower-case"],
  ["x".repeat(61), "this has 61"],
])("given the name %j, then what is wrong with it is %j", (name, said) => {
  if (said === undefined) expect(nameProblem(name)).toBeUndefined();
  else expect(nameProblem(name)).toContain(said);
});

test("given the tag latest or one that begins with a digit, then it is no tag to set", () => {
  expect(tagProblem("latest")).toContain("moves by itself");
  expect(tagProblem("1st")).toContain("a letter first");
  expect(tagProblem("stable")).toBeUndefined();
});

test("given what a person types, then capitals and spaces become what a name may have", () => {
  expect(spelt("Go1 Dance")).toBe("go1-dance");
});

test("given a prompt, then the suggested name is the robot and the wish; without one, the environment", () => {
  expect(suggestedName(policy({ lineage: { prompt: "Dance in a circle!" } }), "Unitree Go1")).toBe(
    "unitree-go1-dance-in-a-circle",
  );
  expect(suggestedName(policy({ title: "its own task" }), "Walker")).toBe("walker-walk");
  const long = suggestedName(
    policy({ lineage: { prompt: "stroll slowly and then faster until nobody can follow" } }),
    "Walker",
  );
  expect(long).toBe("walker-stroll-slowly-and-then-faster");
  expect(nameProblem(long)).toBeUndefined();
});

test("given a difference beyond two standard errors, then the better one is named", () => {
  const verdict = verdictOf(measured(700, 30), measured(840, 20));
  expect(verdict.better).toBe("B");
  expect(verdict.reasons[0]).toContain("B earns 140 more than A");
});

test("given the deviation of the episodes alone, then two standard errors are those of what they are drawn from", () => {
  // 2·√(2 · 100²/4) = 141.4; with n below in place of n − 1 it would be 126.5.
  expect(verdictOf(measured(835, 100), measured(700, 100)).better).toBe("");
  expect(verdictOf(measured(845, 100), measured(700, 100)).better).toBe("A");
});

test("given a difference that luck alone can make, then neither is called better", () => {
  const verdict = verdictOf(measured(800, 100), measured(790, 100));
  expect(verdict).toMatchObject({ better: "", headline: "Too close to call" });
  expect(verdict.reasons[0]).toContain("A earned 10 more");
  expect(verdict.reasons[0]).toContain("Measure more episodes");
});

test("given one episode each, then luck cannot be told from skill", () => {
  const { better, reasons } = verdictOf(measured(10, 0, 1, 1), measured(90, 0, 1, 1));
  expect(better).toBe("");
  expect(reasons[0]).toContain("one episode cannot tell skill from luck");
});

test("given different rewards, then the returns are not held against each other but the survival is", () => {
  const other = { reward: { programSha256: "a".repeat(64) } };
  const verdict = verdictOf(measured(10, 1, 0.4, 20), measured(90, 1, 0.9, 20, other));
  expect(verdict).toMatchObject({ better: "B", headline: "B lasts longer" });
  expect(verdict.reasons[0]).toContain("different rewards");
  // Of so few episodes the survival is not clearly apart.
  expect(verdictOf(measured(10, 1, 0.4), measured(90, 1, 0.9, 5, other)).better).toBe("");
});

test("given a policy that was not measured, then that is said of it by its letter", () => {
  expect(verdictOf(measured(10, 1), policy({})).unmeasured).toEqual(["B"]);
});
