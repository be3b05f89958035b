import { create } from "@bufbuild/protobuf";
import loadMujoco from "@mujoco/mujoco";
import { beforeAll, expect, test } from "vitest";
import { ResetStateSchema } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { Controller } from "../controller/controller";
import type { Graph } from "../controller/graph";
import type { Tensor } from "../controller/tensor";
import type { Wiring } from "../controller/wiring";
import { startSimplifier } from "../meshes/simplifier";
import type { Mujoco } from "../physics/engine";
import { type LoadedFiles, Simulation } from "../physics/simulation";
import type { ControllerFiles, PlayerTick, Report, SceneFiles } from "../protocol";
import type { Loader } from "./loading";
import { Player } from "./player";

const stepSecs = 0.005;

/** A free ball without gravity, and a light pendulum far away, whose motor drives it. */
const world = `<mujoco>
  <compiler angle="radian"/><option timestep="${stepSecs}" gravity="0 0 0"/>
  <worldbody>
    <geom name="floor" type="plane" size="9 9 0.1" pos="0 0 -50"/>
    <body name="ball"><freejoint/><geom name="ball" type="sphere" size="0.1" mass="2"/></body>
    <body name="arm" pos="0 0 40"><joint name="swing" type="hinge" axis="0 1 0" range="-1 1" limited="true"/>
      <geom name="arm" type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02" mass="0.5"/></body>
  </worldbody>
  <actuator><motor name="swing" joint="swing" ctrlrange="-1 1" ctrllimited="true"/></actuator>
</mujoco>`;

let mujoco: Mujoco;

beforeAll(async () => {
  mujoco = { module: await loadMujoco({ print: () => undefined, printErr: () => undefined }) };
  await startSimplifier();
});

interface Toy {
  /** Physics steps in a control period. */
  readonly steps?: number;
  readonly episodeLength?: number;
  /** Tick at which the environment ends the episode. */
  readonly doneAt?: number;
  readonly fails?: boolean;
}

const scene: SceneFiles = { environmentId: "Toy", xml: { sha256: "scene" }, assets: [] };

/** Two resets: the ball starts at x = 1 and at x = 2. */
const resets = [1, 2].map((x) =>
  create(ResetStateSchema, {
    data: { qpos: { shape: [8], values: [x, 0, 0, 1, 0, 0, 0, 0] } },
    carry: { tick: { values: [0] }, command: { shape: [2], values: [0, 0] } },
  }),
);

function toyController(name: string, { steps = 4, episodeLength = 1000, doneAt = 1e9, fails = false }: Toy) {
  const fed: Readonly<Record<string, Tensor>>[] = [];
  const wiring: Wiring = {
    environmentId: "Toy",
    controllerSha256: name,
    scene,
    controlPeriodSecs: steps * stepSecs,
    physicsStepsPerControl: steps,
    episodeLength,
    inputs: [
      { name: "carry.tick", dtype: "float32", shape: [], feed: { kind: "carry", field: "tick" } },
      { name: "carry.command", dtype: "float32", shape: [2], feed: { kind: "carry", field: "command" } },
      { name: "data.xfrc_applied", dtype: "float32", shape: [18], feed: { kind: "data", field: "xfrc_applied" } },
    ],
    ctrl: { output: "ctrl", length: 1 },
    reward: "reward",
    done: "done",
    terms: [],
    stateOutputs: [],
    carryOutputs: [
      { field: "tick", output: "next.tick" },
      { field: "command", output: "next.command" },
    ],
    carryCopies: [],
    fieldsBefore: [],
    resets,
    commands: [{ field: "command", elements: [] }],
    requirements: { mujocoVersions: undefined, model: undefined },
  };
  const released = { count: 0 };
  const graph: Graph = {
    inputNames: wiring.inputs.map((input) => input.name),
    run: async (feeds) => {
      if (fails) throw new Error("no such operator");
      fed.push(feeds);
      const tick = feeds["carry.tick"]?.values[0] ?? 0;
      return {
        ctrl: Float32Array.of(0.25),
        reward: Float32Array.of(1),
        done: Float32Array.of(tick >= doneAt ? 1 : 0),
        "next.tick": Float32Array.of(tick + 1),
        "next.command": Float32Array.of(9, 9),
      };
    },
    release: async () => {
      released.count += 1;
    },
  };
  return { controller: () => new Controller(wiring, graph), fed, released };
}

function files(name: string): ControllerFiles {
  return { environmentId: "Toy", graph: { sha256: name }, manifest: { sha256: name } };
}

/** A player without its worker, moved by hand, a tick at a time. */
async function played(toys: readonly (Toy | null)[], xml = world) {
  const made = toys.map((toy, i) => toyController(`toy${i}`, toy ?? {}));
  const simulations: Simulation[] = [];
  const reports: Report[] = [];
  const loader: Loader = {
    simulation: async () => {
      const loaded: LoadedFiles = { xml: new TextEncoder().encode(xml), assets: new Map() };
      const simulation = Simulation.load(mujoco, loaded);
      simulations.push(simulation);
      return simulation;
    },
    controller: async ({ graph }) => {
      const toy = made[Number(graph.sha256.slice(3))];
      if (!toy) throw new Error("no such toy");
      return toy.controller();
    },
  };
  const player = new Player(loader, (report) => reports.push(report));
  if (toys.length > 1) await player.setLanes(toys.length);
  for (let lane = 0; lane < toys.length; lane += 1) await player.loadScene(lane + 1, scene, lane);
  for (let lane = 0; lane < toys.length; lane += 1) {
    if (toys[lane]) await player.setController(10 + lane, files(`toy${lane}`), lane);
  }
  const ticks = (lane: number): PlayerTick[] =>
    reports.flatMap((report) => (report.type === "snapshot" && report.lane === lane ? [report.tick] : []));
  return {
    player,
    reports,
    simulations,
    made,
    ticks,
    newest(lane: number): PlayerTick {
      const tick = ticks(lane).at(-1);
      if (!tick) throw new Error(`lane ${lane} has told nothing`);
      return tick;
    },
    faults: () => reports.flatMap((report) => (report.type === "failed" ? [report.fault.code] : [])),
    async step(count: number) {
      for (let i = 0; i < count; i += 1) await player.step();
    },
    simulation(lane: number): Simulation {
      const simulation = simulations[lane];
      if (!simulation) throw new Error(`lane ${lane} has no simulation`);
      return simulation;
    },
  };
}

const ballGrab = { geom: 1, body: 1, point: [0, 0, 0], target: [5, 0, 3] } as const;

test("given lanes of different control periods, when time passes, then all are at the same simulated time", async () => {
  const { newest, step } = await played([{ steps: 4 }, { steps: 5 }]);

  // 0, 20, 25, 40, 50, 60, 75, 80 and 100 ms are the moments at which one of them decides.
  await step(9);

  expect(newest(0).timeSecs).toBeCloseTo(0.12, 9);
  expect(newest(1).timeSecs).toBeCloseTo(0.125, 9);
});

test("given lanes that play together, when one falls, then it waits as it lies and all begin anew with the last", async () => {
  const { newest, simulation, step } = await played([{ doneAt: 2 }, { episodeLength: 6 }]);
  const first = newest(0).episode;

  await step(3);
  expect(newest(0)).toMatchObject({ ended: "done", episode: first });
  const lies = Array.from(simulation(0).read("qpos"));
  const timeSecs = simulation(0).read("time")[0];
  await step(3);
  expect(newest(0).ended).toBe("done");
  expect(newest(1).ended).toBe("");
  expect(Array.from(simulation(0).read("qpos"))).toEqual(lies);
  expect(simulation(0).read("time")[0]).toBe(timeSecs);

  await step(1);
  expect([newest(0), newest(1)].map(({ ended, step: at }) => [ended, at])).toEqual([
    ["", 0],
    ["", 0],
  ]);
  expect(newest(0).episode).toBe(first + 1);
});

test("given an episode that ends by its length, when the others still play, then its tick says that time was up", async () => {
  const { newest, step } = await played([{ episodeLength: 2 }, {}]);

  await step(4);

  expect(newest(0)).toMatchObject({ ended: "time", step: 2 });
});

test("given several lanes, when they begin anew again and again, then always from the same reset", async () => {
  const { player, newest } = await played([{}, {}, {}]);
  const starts = new Set<number>();

  for (let i = 0; i < 30; i += 1) {
    await player.reset();
    const places = [0, 1, 2].map((lane) => newest(lane).qpos[0] ?? 0);
    expect(new Set(places).size).toBe(1);
    starts.add(places[0] ?? 0);
  }

  expect([...starts].sort()).toEqual([1, 2]);
});

test("given one lane, when its episode ends, then the next begins at once and the return is told", async () => {
  const { newest, step } = await played([{ episodeLength: 3 }]);
  const { episode } = newest(0);

  await step(4);

  expect(newest(0)).toMatchObject({ ended: "", episode: episode + 1, lastEpisodeReturn: 4, step: 0 });
});

test("given commands that are held, when ticks pass, then the graph gets them in place of its carry, and its own again afterwards", async () => {
  const { player, made, step, faults } = await played([{}]);
  const command = () => Array.from(made[0]?.fed.at(-1)?.["carry.command"]?.values ?? []);

  await player.setCommands({ command: [0.5, -1] });
  await step(1);
  expect(command()).toEqual([0.5, -1]);
  await step(1);
  expect(command()).toEqual([0.5, -1]);

  await player.setCommands({ command: [1] });
  await player.setCommands({ nonsense: [1] });
  await step(1);
  expect(faults()).toEqual(["COMMAND_INVALID", "COMMAND_INVALID"]);
  expect(command()).toEqual([0.5, -1]);

  await player.setCommands(null);
  await step(1);
  expect(command()).toEqual([9, 9]);
});

test("given commands before there is a controller, when it comes, then it obeys from its first tick", async () => {
  const { player, made } = await played([null]);

  await player.setCommands({ command: [3, 4] });
  await player.setController(20, files("toy0"));

  expect(Array.from(made[0]?.fed[0]?.["carry.command"]?.values ?? [])).toEqual([3, 4]);
});

test("given a robot that is pulled, when time passes, then it comes and stays, the graph sees no force, and it is let go", async () => {
  const { player, simulation, newest, made, step } = await played([{}]);

  await player.grab(ballGrab);
  await step(100);
  expect(newest(0).grabbed).toBe(true);
  expect(Array.from(newest(0).qpos.subarray(0, 3))).toEqual([
    expect.closeTo(5, 1),
    expect.closeTo(0, 3),
    expect.closeTo(3, 1),
  ]);
  expect(Math.hypot(...Array.from(simulation(0).read("qvel")).slice(0, 3))).toBeLessThan(0.05);
  expect(made[0]?.fed.every((feeds) => feeds["data.xfrc_applied"]?.values.every((value) => value === 0))).toBe(true);

  await player.grab({ ...ballGrab, target: [9, 9, 9] });
  await player.grab(null);
  await step(1);
  expect(newest(0).grabbed).toBe(false);
  const velocity = () => Array.from(simulation(0).read("qvel")).slice(0, 3);
  const before = velocity();
  await step(5);
  expect(velocity()).toEqual(before);
});

test("given several lanes, when one robot is pulled, then the others feel the same force", async () => {
  const { player, newest, step } = await played([{}, {}]);
  await player.reset();

  await player.grab(ballGrab, 1);
  await step(12);

  expect(newest(1).qpos[2]).toBeGreaterThan(0.05);
  expect(Array.from(newest(0).qpos)).toEqual(Array.from(newest(1).qpos));
});

test("given what no force moves, when it is seized, then nothing is pulled", async () => {
  const { player, newest, step } = await played([{}]);

  await player.grab({ ...ballGrab, geom: 0, body: 0 });
  await step(1);

  expect(newest(0).grabbed).toBe(false);
});

test("given a light limb, when it is pulled hard by its tip, then the simulation stays whole", async () => {
  const { player, simulation, step, faults } = await played([{}]);

  await player.grab({ geom: 2, body: 2, point: [0, 0, 0.25], target: [9, 0, 40] });
  await step(200);

  expect(faults()).toEqual([]);
  expect(Math.abs(simulation(0).read("qvel")[6] ?? Number.NaN)).toBeLessThan(1);
});

test.each([0.5, 2])(
  "given a push of %s m/s, when a tenth of a second has passed, then that is what it gained",
  async (speed) => {
    const { player, simulation, step } = await played([{}, {}]);

    await player.shove([[0, 3, 0]], speed);
    await step(20);

    for (const lane of [0, 1]) {
      const velocity = Array.from(simulation(lane).read("qvel")).slice(0, 3);
      expect(velocity).toEqual([expect.closeTo(0, 6), expect.closeTo(speed, 6), expect.closeTo(0, 6)]);
    }
  },
);

test("given lanes that look elsewhere, when each is pushed its own way, then each goes that way, as fast as the others", async () => {
  const { player, simulation, step } = await played([{}, {}]);

  await player.shove(
    [
      [1, 0, 0],
      [0, -1, 0],
    ],
    1,
  );
  await step(20);

  const velocityOf = (lane: number) => Array.from(simulation(lane).read("qvel")).slice(0, 3);
  expect(velocityOf(0)).toEqual([expect.closeTo(1, 6), expect.closeTo(0, 6), expect.closeTo(0, 6)]);
  expect(velocityOf(1)).toEqual([expect.closeTo(0, 6), expect.closeTo(-1, 6), expect.closeTo(0, 6)]);
});

test("given a joint, when it is posed, then it is there within its range, drawn, and no time has passed", async () => {
  const { player, simulation, newest, faults, step } = await played([null]);
  await player.reset();
  const episode = newest(0).episode;

  await player.setJoint(7, 0.5);
  expect(newest(0).qpos[7]).toBe(0.5);
  expect(simulation(0).read("time")[0]).toBe(0);
  await player.setJoint(7, 4);
  expect(newest(0).qpos[7]).toBe(1);
  await player.setJoint(0, 1);
  expect(faults()).toEqual(["COMMAND_INVALID"]);

  await step(1);
  expect(newest(0).episode).toBe(episode);
  expect(newest(0).qpos[7]).toBeCloseTo(1, 1);
});

test("given a robot without a policy, when it is driven by hand, then by these values within their ranges, until it is let be", async () => {
  const { player, newest, step, faults } = await played([null]);

  await player.setCtrl([7]);
  expect(Array.from(newest(0).ctrl)).toEqual([1]);
  await step(1);
  expect(Array.from(newest(0).ctrl)).toEqual([1]);
  await player.setCtrl([1, 2]);
  expect(faults()).toEqual(["COMMAND_INVALID"]);
  await player.setCtrl(null);
  await step(1);
  expect(Math.abs(newest(0).ctrl[0] ?? 1)).toBeLessThan(0.5);
});

test("given lanes that go, when there are fewer, then their graphs and models are freed and the rest plays on", async () => {
  const { player, simulations, made, step, newest } = await played([{}, {}]);
  let freed = 0;
  const last = simulations[1];
  if (last) {
    const dispose = last.dispose.bind(last);
    last.dispose = () => {
      freed += 1;
      dispose();
    };
  }

  await player.setLanes(1);
  await step(2);

  expect([freed, made[1]?.released.count]).toEqual([1, 1]);
  expect(newest(0).step).toBe(2);
});

test("given a controller that does not run, when it is to follow another, then the other drives on", async () => {
  const { player, newest, step, faults } = await played([{}, { fails: true }]);
  await player.setController(30, files("toy1"), 0);
  await step(1);

  expect(faults()).toContain("GRAPH_FAILED");
  expect(newest(0).controllerSha256).toBe("toy0");
});

test("given a robot that nobody drives, when a controller is tried that does not run, then the robot begins anew", async () => {
  const { player, newest, step, faults } = await played([null, { fails: true }]);
  await step(20);
  const before = newest(0);
  await player.setController(30, files("toy1"), 0);
  await step(1);

  expect(faults()).toContain("GRAPH_FAILED");
  expect(newest(0)).toMatchObject({ driven: false, episode: before.episode + 1 });
  expect(newest(0).step).toBeLessThan(before.step);
});

test("given a box at rest, when contacts are asked for, then their forces carry its weight, and only then", async () => {
  const box = `<mujoco><worldbody><geom type="plane" size="1 1 0.1"/>
    <body pos="0 0 0.1"><freejoint/><geom type="box" size="0.1 0.1 0.1" mass="3"/></body></worldbody></mujoco>`;
  const { player, reports, step } = await played([null], box);
  const contacts = () => reports.flatMap((report) => (report.type === "snapshot" ? [report.contacts] : [])).at(-1);

  await step(100);
  expect(contacts()).toBeUndefined();
  await player.setContacts(true);

  const seen = contacts() ?? new Float32Array();
  expect(seen.length).toBe(4 * 6);
  const upwards = [0, 1, 2, 3].reduce((sum, i) => sum + (seen[6 * i + 5] ?? 0), 0);
  expect(upwards).toBeCloseTo(3 * 9.81, 1);
});
