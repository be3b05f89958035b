import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { trainedOf } from "./trained";

test("given environments whose policies are on no page that was read, when they are known to have some, then they count as trained", () => {
  const policy = create(PolicySchema, { policyId: "walk", environmentId: "WalkerWalk" });
  expect([...trainedOf([policy], [], [], ["CartpoleBalance"]).policies.keys()]).toEqual([
    "WalkerWalk",
    "CartpoleBalance",
  ]);
});
