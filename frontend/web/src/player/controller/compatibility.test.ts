import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ModelSizesSchema, VersionRangeSchema } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { checkCompatible, type LoadedModel } from "./compatibility";

const sizes = { nq: 19, nv: 18, nu: 12, na: 0, nbody: 14, nsensordata: 20, nmocap: 0 };

function loaded(mujocoVersion: string, change: Partial<typeof sizes> = {}, timestepSecs = 0.004): LoadedModel {
  return { mujocoVersion, timestepSecs, size: (name) => ({ ...sizes, ...change })[name] };
}

const requirements = {
  mujocoVersions: create(VersionRangeSchema, { minimum: "3.14.0", below: "5.0.0" }),
  model: create(ModelSizesSchema, { ...sizes, timestepSecs: 0.004 }),
};

describe("checkCompatible", () => {
  it.each(["3.14.0", "3.17.0", "4.2.1"])("takes MuJoCo %s", (version) => {
    expect(() => checkCompatible(requirements, loaded(version))).not.toThrow();
  });

  it.each(["3.9.9", "3.13", "5.0.0"])("refuses MuJoCo %s", (version) => {
    expect(() => checkCompatible(requirements, loaded(version))).toThrow(/made for MuJoCo 3\.14\.0/);
  });

  it("refuses a model of other sizes, and names the one", () => {
    expect(() => checkCompatible(requirements, loaded("3.14.0", { nsensordata: 21 }))).toThrow(/nsensordata is 20/);
  });

  it("refuses a model that steps at another pace", () => {
    expect(() => checkCompatible(requirements, loaded("3.14.0", {}, 0.002))).toThrow(/steps of 0\.004 s/);
  });

  it("checks nothing that an older manifest does not say", () => {
    expect(() => checkCompatible({ mujocoVersions: undefined, model: undefined }, loaded("2.0.0"))).not.toThrow();
  });
});
