import loadMujoco from "@mujoco/mujoco";
import { beforeAll, expect, test } from "vitest";
import type { Mujoco } from "../physics/engine";
import { Simulation } from "../physics/simulation";
import { disturb } from "./disturbance";

const walker = `<mujoco>
  <option timestep="0.01" gravity="0 0 0"/>
  <worldbody>
    <geom name="ground" type="plane" size="9 9 0.1" pos="0 0 -5" friction="0.8 0.1 0.1"/>
    <body><freejoint/><geom type="sphere" size="0.1" mass="3"/>
      <body pos="1 0 0"><joint name="leg" type="hinge" axis="0 1 0"/><geom name="foot" type="sphere" size="0.05" mass="1"/></body>
    </body>
  </worldbody>
  <contact><pair geom1="ground" geom2="foot" friction="0.6 0.4 0.01 0.02 0.03"/></contact>
  <actuator><position joint="leg" kp="20"/></actuator>
</mujoco>`;

let mujoco: Mujoco;

beforeAll(async () => {
  mujoco = { module: await loadMujoco({ print: () => undefined, printErr: () => undefined }) };
});

function load(): Simulation {
  return Simulation.load(mujoco, { xml: new TextEncoder().encode(walker), assets: new Map() });
}

test("given a disturbance of the model, when it is applied, then mass, friction and strength are what it says, and a new load is as before", () => {
  const simulation = load();

  disturb(simulation, { payloadShare: 0.25, friction: 0.5, strength: 0.7 }, 1);

  const { model } = simulation;
  expect([model.body_mass[1], model.body_mass[2]]).toEqual([4, 1]);
  expect(model.body_subtreemass[1]).toBeCloseTo(5, 9);
  expect(Array.from(model.geom_friction.subarray(0, 3))).toEqual([0.4, 0.1, 0.1]);
  expect(Array.from(model.pair_friction)).toEqual([0.3, 0.2, 0.01, 0.02, 0.03]);
  expect(model.actuator_gainprm[0]).toBeCloseTo(14, 9);
  expect(model.actuator_biasprm[1]).toBeCloseTo(-14, 9);
  expect(load().model.body_mass[1]).toBe(3);
});

test("given decisions that come late, when they are acted on, then they are those of the ticks before", () => {
  const { between } = disturb(load(), { delayTicks: 2 }, 1);

  expect([1, 2, 3, 4, 5].map((ctrl) => between.act([ctrl])[0])).toEqual([1, 1, 1, 2, 3]);
  expect(Array.from(disturb(load(), {}, 1).between.act([7]))).toEqual([7]);
});

test("given noisy sensors, when positions and velocities are sensed, then they scatter as told, the rest does not, and a seed repeats it", () => {
  const sense = (field: string, seed: number) =>
    Array.from(disturb(load(), { sensorNoise: 0.05 }, seed).between.sense(field, new Float64Array(4000)));
  const deviation = (values: number[]) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);

  expect(deviation(sense("qpos", 3))).toBeCloseTo(0.05, 2);
  expect(deviation(sense("qvel", 3))).toBeCloseTo(0.5, 1);
  expect(deviation(sense("xpos", 3))).toBe(0);
  expect(sense("qpos", 3)).toEqual(sense("qpos", 3));
  expect(sense("qpos", 3)).not.toEqual(sense("qpos", 4));
});

test("given pushes, when five seconds pass, then there were two, each of the speed that was told", () => {
  const simulation = load();
  const { forces } = disturb(simulation, { pushSpeed: 0.5 }, 5);
  const speeds: number[] = [];

  for (let tick = 0; tick < 250; tick += 1) {
    const source = forces(tick * 0.02);
    if (!source) continue;
    simulation.reset();
    simulation.step(10, source);
    speeds.push(speedOf(simulation));
  }

  expect(speeds).toEqual([expect.closeTo(0.5, 3), expect.closeTo(0.5, 3)]);
});

/** How fast the robot's centre of mass moves. */
function speedOf(simulation: Simulation): number {
  const centre = () => {
    simulation.forward();
    return Array.from(simulation.read("subtree_com")).slice(3, 5);
  };
  const [x = 0, y = 0] = centre();
  simulation.step(1);
  const [nextX = 0, nextY = 0] = centre();
  return Math.hypot(nextX - x, nextY - y) / simulation.timestepSecs;
}
