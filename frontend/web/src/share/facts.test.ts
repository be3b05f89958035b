import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ParityReportSchema, PolicyMeasurementSchema, PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { ControllerManifestSchema } from "../gen/tabrl/exporter/v1/manifest_pb";
import { SceneBundleSchema } from "../gen/tabrl/scene/v1/scene_pb";
import { controllerFacts, environmentName, measurementWords, originFacts, parityWords, titleOf } from "./facts";
import type { SharedPolicy } from "./sharedPolicy";

function shared(
  policy: Parameters<typeof create<typeof PolicySchema>>[1] = {},
  manifest: Parameters<typeof create<typeof ControllerManifestSchema>>[1] = {},
): SharedPolicy {
  return {
    policy: create(PolicySchema, { policyId: "p1", environmentId: "WalkerWalk", ...policy }),
    manifest: create(ControllerManifestSchema, { controlPeriodSecs: 0.025, episodeLength: 1000, ...manifest }),
    bundle: create(SceneBundleSchema),
    files: "files",
  };
}

const factOf = (facts: ReturnType<typeof originFacts>, name: string) => facts.find((fact) => fact.name === name)?.value;

describe("the card", () => {
  it("says environments in words", () => {
    expect(environmentName("Go1JoystickFlatTerrain")).toBe("Go1 joystick flat terrain");
    expect(environmentName("CartpoleBalance")).toBe("Cartpole balance");
    expect(environmentName("custom-arm-00000000")).toBe("Custom arm 00000000");
  });

  it("is called by the title, else by the prompt, else by the environment", () => {
    const lineage = { prompt: "Walk backwards" };
    expect(titleOf(shared({ title: "Moonwalk", lineage }))).toBe("Moonwalk");
    expect(titleOf(shared({}, { lineage }))).toBe("Walk backwards");
    expect(titleOf(shared())).toBe("Walker walk");
    // What a run is called that nobody asked anything of says nothing to a visitor.
    expect(titleOf(shared({ title: "its own task", lineage: { prompt: "its own task" } }))).toBe("Walker walk");
  });

  it("leaves out what is not known", () => {
    const facts = originFacts(shared());

    expect(facts.map(({ name }) => name)).toEqual(["Environment", "Reward", "Policy"]);
    expect(factOf(facts, "Reward")).toBe("the environment’s own");
  });

  it("takes from the manifest what the policy does not say", () => {
    const lineage = { envSteps: 2_500_000n, rewardId: "reward-7", parentCheckpointSha256: "ab".repeat(32) };

    const facts = originFacts(shared({}, { lineage }));

    expect(factOf(facts, "Practice")).toBe("2.5M steps");
    expect(factOf(facts, "Reward")).toBe("reward-7");
    expect(facts.find(({ name }) => name === "Fine-tuned from")).toMatchObject({
      value: "abababababab",
      whole: "ab".repeat(32),
    });
  });

  it("says how often the controller decides and how long an episode is", () => {
    const facts = controllerFacts(shared());

    expect(factOf(facts, "Decides")).toBe("40 times a second");
    expect(factOf(facts, "Episode")).toBe("25 s");
  });

  it("says how far the controller is from its source", () => {
    const outputs = [{ maxDifference: 2e-8 }, { maxDifference: 1.26e-6 }];
    const episodes = [
      { controllerReturn: 900, sourceReturn: 902 },
      { controllerReturn: 920, sourceReturn: 918 },
    ];
    const parity = create(ParityReportSchema, { states: 240, outputs, closedLoop: { secs: 10, episodes } });

    expect(parityWords(parity)).toContain("on 240 states: no output differs by more than 1.3 × 10⁻⁶.");
    expect(parityWords(parity)).toContain("for 2 episodes of up to 10 s and earned 910 beside 910.");
    expect(parityWords(undefined)).toBeUndefined();
    expect(parityWords(create(ParityReportSchema))).toBeUndefined();
  });

  it("says what an evaluation measured, and by what it was judged", () => {
    const measured = { episodes: 10, meanReturn: 871.4, stdReturn: 12.25, meanSurvived: 0.97 };

    expect(measurementWords(create(PolicyMeasurementSchema, measured))).toBe(
      "Return 871 ± 12.3 over 10 episodes, 97 % of their length.",
    );
    expect(measurementWords(create(PolicyMeasurementSchema, { ...measured, check: "x > 1", checkHeld: 9 }))).toContain(
      "the check held in 9 of them",
    );
  });
});
