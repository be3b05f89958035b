import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EnvironmentSummarySchema } from "../gen/tabrl/scene/v1/scene_pb";
import { EVERYTHING, filtered } from "./filter";

const environments = [
  { environmentId: "Walker", title: "Walker", actuatorCount: 6 },
  { environmentId: "Arm", title: "Arm", robotMissing: true },
  { environmentId: "Cartpole", title: "Cartpole", actuatorCount: 1, examplePrompts: ["keep the pole up"] },
].map((each) => create(EnvironmentSummarySchema, each));
const trained = { policies: new Map([["Walker", []]]), newestSecs: new Map([["Walker", 50]]) };
const ids = (change: Partial<typeof EVERYTHING>) =>
  filtered(environments, { ...EVERYTHING, ...change }, trained).map(({ environmentId }) => environmentId);

test("given an order, then robots come by name, by their motors with unknown ones last, or by newest work", () => {
  expect(ids({})).toEqual(["Arm", "Cartpole", "Walker"]);
  expect(ids({ order: "motors" })).toEqual(["Cartpole", "Walker", "Arm"]);
  expect(ids({ order: "newest" })).toEqual(["Walker", "Arm", "Cartpole"]);
});

test("given words or a wish for trained ones, then only what fits is left", () => {
  expect(ids({ text: "Pole keep" })).toEqual(["Cartpole"]);
  expect(ids({ trained: "yes" })).toEqual(["Walker"]);
});
