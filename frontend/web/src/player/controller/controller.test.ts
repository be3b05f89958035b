import { fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ControllerManifestSchema } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { PlayerError } from "../errors";
import { Controller } from "./controller";
import type { Graph } from "./graph";
import type { Numbers, Tensor } from "./tensor";
import { parseManifest, wire } from "./wiring";

const digest = "a".repeat(64);

/** A small manifest that uses every rule: data now and before, carry computed and copied, draws, two outputs of one name. */
const manifest = {
  specification: 1,
  environmentId: "Toy",
  controllerSha256: digest,
  sceneXml: { sha256: digest },
  controlPeriodSecs: 0.02,
  physicsStepsPerControl: 2,
  episodeLength: 5,
  inputs: [
    input("data.qpos", [2], "INPUT_SOURCE_DATA", "qpos"),
    input("before.qpos", [2], "INPUT_SOURCE_DATA_BEFORE", "qpos"),
    input("carry.tick", [], "INPUT_SOURCE_CARRY", "tick", "DATA_TYPE_INT32"),
    input("carry.last", [2], "INPUT_SOURCE_CARRY", "last"),
    input("noise.uniform", [3], "INPUT_SOURCE_UNIFORM"),
    input("noise.normal", [1], "INPUT_SOURCE_NORMAL"),
  ],
  outputs: [
    output("ctrl", [1], "OUTPUT_ROLE_CTRL"),
    output("ctrl", [1], "OUTPUT_ROLE_ACTION"),
    output("reward", [], "OUTPUT_ROLE_REWARD"),
    output("term.upright", [], "OUTPUT_ROLE_TERM", "upright"),
    output("done", [], "OUTPUT_ROLE_DONE"),
    output("next.tick", [], "OUTPUT_ROLE_CARRY", "tick", "DATA_TYPE_INT32"),
    output("state.mocap_pos", [3], "OUTPUT_ROLE_STATE", "mocap_pos"),
  ],
  copies: [{ field: "last", input: "data.qpos" }],
  resets: [
    {
      data: { qpos: { shape: [2], values: [0.1, 0.2] } },
      carry: { tick: { values: [0] }, last: { shape: [2], values: [7, 8] } },
    },
  ],
  terms: [{ name: "upright", weight: 2 }],
} as const;

function input(name: string, shape: number[], source: string, field = "", dtype = "DATA_TYPE_FLOAT32") {
  return { tensor: { name, shape, dtype }, source, field };
}

function output(name: string, shape: number[], role: string, field = "", dtype = "DATA_TYPE_FLOAT32") {
  return { tensor: { name, shape, dtype }, role, field };
}

function toyWiring(change: object = {}) {
  return wire(parseManifest(JSON.stringify({ ...manifest, ...change })));
}

/** A graph that answers with `outputs` and remembers what it was fed. */
function graph(outputs: (feeds: Readonly<Record<string, Tensor>>) => Record<string, Numbers>) {
  const fed: Readonly<Record<string, Tensor>>[] = [];
  const made: Graph = {
    inputNames: manifest.inputs.map(({ tensor }) => tensor.name),
    run: async (feeds) => {
      fed.push(feeds);
      return outputs(feeds);
    },
    release: async () => undefined,
  };
  return { graph: made, fed };
}

const answers = (feeds: Readonly<Record<string, Tensor>>) => ({
  ctrl: Float32Array.of(0.5),
  reward: Float32Array.of(2),
  "term.upright": Float32Array.of(1.5),
  done: Float32Array.of(0),
  "next.tick": Int32Array.of((feeds["carry.tick"]?.values[0] ?? 0) + 1),
  "state.mocap_pos": Float32Array.of(4, 5, 6),
});

function begun(wiring = toyWiring()) {
  const { graph: made, fed } = graph(answers);
  const controller = new Controller(wiring, made);
  const [reset] = wiring.resets;
  if (!reset) throw new Error("no reset");
  controller.begin(reset);
  return { controller, fed, reset };
}

const now = () => [1, 2];
const before = () => [3, 4];

describe("Controller", () => {
  it("feeds each input from the source that the manifest names", async () => {
    const { controller, fed } = begun();

    const decision = await controller.decide(now, before, "none");

    const values = Object.fromEntries(
      Object.entries(fed[0] ?? {}).map(([name, tensor]) => [name, Array.from(tensor.values)]),
    );
    expect(values).toEqual({
      "data.qpos": [1, 2],
      "before.qpos": [3, 4],
      "carry.tick": [0],
      "carry.last": [7, 8],
      "noise.uniform": [0.5, 0.5, 0.5],
      "noise.normal": [0],
    });
    expect(fed[0]?.["carry.tick"]?.dtype).toBe("int32");
    expect(decision).toMatchObject({ reward: 2, terms: { upright: 1.5 }, done: false });
    expect(Array.from(decision.ctrl)).toEqual([0.5]);
    expect(decision.state).toEqual([{ field: "mocap_pos", values: Float32Array.of(4, 5, 6) }]);
  });

  it("carries on what the graph computed, and copies what it did not", async () => {
    const { controller, fed } = begun();

    await controller.decide(now, before, "none");
    await controller.decide(() => [5, 6], before, "none");

    expect(Array.from(fed[1]?.["carry.tick"]?.values ?? [])).toEqual([1]);
    expect(Array.from(fed[1]?.["carry.last"]?.values ?? [])).toEqual([1, 2]);
  });

  it("draws within their ranges when noise is wanted", async () => {
    const { controller, fed } = begun();

    await controller.decide(now, before, "random");

    const uniform = Array.from(fed[0]?.["noise.uniform"]?.values ?? []);
    expect(uniform.every((draw) => draw >= 0 && draw < 1)).toBe(true);
    expect(uniform).not.toEqual([0.5, 0.5, 0.5]);
  });

  it("takes over what another controller remembers under the same name and length", async () => {
    const first = begun();
    await first.controller.decide(now, before, "none");
    const second = begun();

    second.controller.takeOver(first.controller.carry, second.reset);
    await second.controller.decide(now, before, "none");

    expect(Array.from(second.fed[0]?.["carry.tick"]?.values ?? [])).toEqual([1]);
  });

  it("refuses a scene with other sizes", async () => {
    const { controller } = begun();

    await expect(controller.decide(() => [1, 2, 3], before, "none")).rejects.toMatchObject({
      code: "MANIFEST_INVALID",
    });
  });

  it("refuses a graph whose inputs are not the manifest's", () => {
    const { graph: made } = graph(answers);

    expect(() => new Controller(toyWiring(), { ...made, inputNames: ["data.qpos"] })).toThrow(PlayerError);
  });
});

describe("wire", () => {
  const cases: [string, object, RegExp][] = [
    ["a later version of the rules", { specification: 2 }, /version 2/],
    ["no reset", { resets: [] }, /no state to start from/],
    ["no ctrl", { outputs: manifest.outputs.slice(2) }, /no output for ctrl/],
    ["carry that nothing renews", { copies: [] }, /nothing renews carry last/],
    ["a term without its output", { terms: [{ name: "speed" }] }, /no output holds the reward term speed/],
    ["a copy from nowhere", { copies: [{ field: "last", input: "data.qvel" }] }, /data\.qvel, which is no input/],
    ["a clock that stands", { controlPeriodSecs: 0 }, /clocks/],
  ];

  it.each(cases)("refuses %s", (_, change, reason) => {
    expect(() => toyWiring(change)).toThrow(reason);
  });

  it("refuses what is no manifest", () => {
    expect(() => parseManifest("{")).toThrow(PlayerError);
  });

  it("reads fields that it does not know without complaint", () => {
    const read = parseManifest(JSON.stringify({ ...manifest, addedLater: 1 }));

    expect(read).toEqual(fromJson(ControllerManifestSchema, JSON.parse(JSON.stringify(manifest))));
  });
});
