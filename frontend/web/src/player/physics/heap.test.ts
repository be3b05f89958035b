import loadMujoco from "@mujoco/mujoco";
import { expect, test } from "vitest";
import { actuatorsOf, jointsOf } from "./joints";
import { Simulation } from "./simulation";

const box = `<mujoco><worldbody><geom type="plane" size="1 1 0.1"/>
  <body pos="0 0 0.1"><freejoint/><geom type="box" size="0.1 0.1 0.1" mass="3"/></body>
  <body pos="5 0 1"><joint name="swing" axis="0 1 0"/><geom size="0.1"/></body></worldbody>
  <actuator><motor joint="swing"/></actuator></mujoco>`;

test("given contacts, joints and motors that are read again and again, when many seconds have passed, then MuJoCo's memory has not grown", async () => {
  const module = await loadMujoco({ print: () => undefined, printErr: () => undefined });
  const simulation = Simulation.load({ module }, { xml: new TextEncoder().encode(box), assets: new Map() });
  simulation.reset();
  simulation.step(50);
  const read = (times: number) => {
    for (let i = 0; i < times; i += 1) {
      simulation.contacts();
      jointsOf(simulation.model);
      actuatorsOf(simulation.model);
    }
    // The next place that is free for much tells what has been taken meanwhile.
    const probe = new module.DoubleBuffer(1_000_000);
    const place = probe.GetPointer();
    probe.delete();
    return place;
  };

  const before = read(10);
  expect(simulation.contacts().length).toBe(24);
  expect(read(20_000)).toBe(before);
  simulation.dispose();
});
