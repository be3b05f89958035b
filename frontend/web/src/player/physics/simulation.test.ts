import loadMujoco from "@mujoco/mujoco";
import { beforeAll, describe, expect, it } from "vitest";
import { snapshotLength, snapshotOffsets } from "../sceneDescription";
import { describeScene } from "./describe";
import type { Mujoco } from "./engine";
import { writePoses, writeQuaternion } from "./poses";
import { Simulation } from "./simulation";

const scene = `<mujoco>
  <asset>
    <texture name="grid" type="2d" builtin="checker" rgb1="1 0 0" rgb2="0 0 1" width="4" height="4"/>
    <material name="grid" texture="grid" texuniform="true" texrepeat="2 3" rgba="0.5 0.6 0.7 1"/>
    <mesh name="tetra" file="parts/tetra.obj"/>
  </asset>
  <worldbody>
    <camera pos="0 -3 1" xyaxes="1 0 0 0 0 1"/>
    <geom name="floor" type="plane" size="2 3 0.1" material="grid"/>
    <body pos="0 0 1">
      <joint name="slide" type="slide" axis="1 0 0" range="-0.5 1.5" limited="true"/>
      <geom name="ball" type="sphere" size="0.1"/>
      <geom name="tetra" type="mesh" mesh="tetra"/>
      <site name="hook" pos="0 0 -0.1"/>
    </body>
    <site name="anchor" pos="0 0 2"/>
  </worldbody>
  <tendon><spatial width="0.01" rgba="0 1 0 1"><site site="anchor"/><site site="hook"/></spatial></tendon>
  <actuator><motor joint="slide" ctrlrange="-1 1"/></actuator>
</mujoco>`;
const tetra = "v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

let mujoco: Mujoco;

beforeAll(async () => {
  mujoco = { module: await loadMujoco({ print: () => undefined, printErr: () => undefined }) };
});

function load(xml = scene): Simulation {
  const assets = new Map([["parts/tetra.obj", new TextEncoder().encode(tetra)]]);
  return Simulation.load(mujoco, { xml: new TextEncoder().encode(xml), assets });
}

describe("Simulation", () => {
  it("starts from the state it is given and moves under its control", () => {
    const simulation = load();

    simulation.reset({ qpos: [0.25] });
    expect(Array.from(simulation.read("qpos"))).toEqual([0.25]);
    simulation.setCtrl([1]);
    simulation.step(10);

    expect(simulation.read("qpos")[0]).toBeGreaterThan(0.25);
    expect(simulation.read("time")[0]).toBeCloseTo(10 * simulation.timestepSecs, 9);
    simulation.dispose();
  });

  it("goes home to its first keyframe, or to its reference state where it has none", () => {
    const posed = load(scene.replace("</mujoco>", '<keyframe><key qpos="0.5" ctrl="0.25"/></keyframe></mujoco>'));
    expect(Array.from(posed.home() ?? [])).toEqual([0.25]);
    expect(Array.from(posed.read("qpos"))).toEqual([0.5]);
    posed.dispose();

    const plain = load();
    plain.reset({ qpos: [0.25] });
    expect(plain.home()).toBeUndefined();
    expect(Array.from(plain.read("qpos"))).toEqual([0]);
    plain.dispose();
  });

  it("refuses a start of another size and fields that are no state", () => {
    const simulation = load();

    expect(() => simulation.reset({ qpos: [1, 2] })).toThrow(/gives qpos 2 numbers/);
    expect(() => simulation.reset({ xpos: [1] })).toThrow(/xpos, which is no state/);
    expect(() => simulation.read("nonsense")).toThrow(/no array/);
    simulation.dispose();
  });

  it("passes MuJoCo's own words on for a scene that it refuses", () => {
    expect(() => load("<mujoco><worldbody><geom type='foo'/></worldbody></mujoco>")).toThrow(/invalid keyword: 'foo'/);
  });

  it("notices a state that is not finite", () => {
    const simulation = load();
    simulation.reset({ qpos: [Number.NaN] });

    expect(() => simulation.checkFinite()).toThrow(/unstable/);
    simulation.dispose();
  });
});

describe("describeScene", () => {
  it("reads what is drawn, truth values and textures included", () => {
    const simulation = load();
    simulation.reset();

    const description = describeScene("Toy", simulation);

    const [floor, ball, mesh] = description.geoms;
    expect(floor).toMatchObject({ name: "floor", shape: "plane", body: 0 });
    expect(floor?.surface).toMatchObject({ texture: 0, textureRepeat: [2, 3], textureUniform: true });
    expect(ball).toMatchObject({ shape: "sphere", body: 1 });
    expect(mesh).toMatchObject({ shape: "mesh", data: 0 });
    expect(description.textures[0]).toMatchObject({ width: 4, height: 4 });
    expect(Array.from(description.textures[0]?.rgba.subarray(0, 3) ?? [])).toContain(255);
    expect(description.textures[0]?.rgba.length).toBe(4 * 4 * 4);
    expect(description.meshes[0]?.simple.indices.length).toBe(4 * 3);
    expect(description.weightNewtons).toBeCloseTo(9.81 * (simulation.model.body_mass[1] as number), 6);
    expect([ball?.moves, floor?.moves]).toEqual([true, false]);
    expect(description.slideReach).toBe(1);
    expect(description.layout).toEqual({ geoms: 3, sites: 2, segments: 3 });
    expect(description.cameraDirection?.[1]).toBeCloseTo(1, 9);
    simulation.dispose();
  });

  it("writes poses where the layout says", () => {
    const simulation = load();
    simulation.reset({ qpos: [0.25] });
    const { layout } = describeScene("Toy", simulation);
    const poses = new Float32Array(snapshotLength(layout));

    writePoses(simulation.model, simulation.data, layout, poses);

    const offsets = snapshotOffsets(layout);
    expect(poses[7]).toBeCloseTo(0.25, 6);
    expect(poses[6]).toBeCloseTo(1, 6);
    const tendon = Array.from(poses.subarray(offsets.segments, offsets.segments + 6));
    [0, 0, 2, 0.25, 0, 0.9].forEach((value, i) => {
      expect(tendon[i]).toBeCloseTo(value, 5);
    });
    simulation.dispose();
  });
});

describe("writeQuaternion", () => {
  // Half turns about each axis are where the trace is of no use.
  it.each([
    ["x", [1, 0, 0, 0, -1, 0, 0, 0, -1], [1, 0, 0, 0]],
    ["y", [-1, 0, 0, 0, 1, 0, 0, 0, -1], [0, 1, 0, 0]],
    ["z", [-1, 0, 0, 0, -1, 0, 0, 0, 1], [0, 0, 1, 0]],
  ])("turns half around %s", (_, matrix, expected) => {
    const out = new Float32Array(4);

    writeQuaternion(matrix, out);

    expect(Array.from(out, Math.abs)).toEqual(expected);
  });
});
