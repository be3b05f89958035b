import { expect, test } from "vitest";
import {
  commandFor,
  createDriving,
  DEAD_ZONE,
  joystickAmong,
  STILL,
  steeringByGamepad,
  steeringByKeys,
  steeringOf,
  steers,
} from "./driving";

// As the manifests of Go1JoystickFlatTerrain have it.
const GO1 = {
  field: "command",
  elements: [
    { name: "forward velocity", unit: "m/s", low: -1.5, high: 1.5 },
    { name: "velocity to the left", unit: "m/s", low: -0.8, high: 0.8 },
    { name: "turning to the left", unit: "rad/s", low: -1.2, high: 1.2 },
  ],
};
const HEIGHT = { field: "height", elements: [{ name: "height", unit: "m", low: 0.2, high: 0.4 }] };

function go1Joystick() {
  const joystick = joystickAmong([HEIGHT, GO1]);
  if (!joystick) throw new Error("the elements of Go1 are those of a joystick");
  return joystick;
}

test("given the commands of a policy, when a joystick is looked for, then names decide", () => {
  expect(go1Joystick().places).toEqual({ forward: 0, left: 1, turn: 2 });
  expect(joystickAmong([HEIGHT])).toBeUndefined();
  expect(joystickAmong([])).toBeUndefined();
});

test("given full deflection, when it becomes a command, then it is the most that training drew on that side", () => {
  const joystick = go1Joystick();
  expect(commandFor(joystick, { forward: 1, left: -1, turn: 0.5 })).toEqual([1.5, -0.8, 0.6]);
  expect(commandFor(joystick, STILL)).toEqual([0, 0, 0]);
  const [forward, ...others] = GO1.elements;
  const slowBackwards = { ...joystick, elements: [{ ...forward, name: "", unit: "", low: -0.5, high: 2 }, ...others] };
  expect(commandFor(slowBackwards, { ...STILL, forward: -1 })).toEqual([-0.5, 0, 0]);
  expect(commandFor(slowBackwards, { ...STILL, forward: 0.5 })).toEqual([1, 0, 0]);
});

test("given a command, when it is shown on the joystick, then it is where the command came from", () => {
  const joystick = go1Joystick();
  const steering = { forward: 0.25, left: -0.5, turn: 1 };
  expect(steeringOf(joystick, commandFor(joystick, steering))).toEqual(steering);
});

test("given keys that are down, when they steer, then opposite ones cancel and doubled ones count once", () => {
  expect(steeringByKeys(new Set(["KeyW", "KeyA"]))).toEqual({ forward: 1, left: 1, turn: 0 });
  expect(steeringByKeys(new Set(["KeyW", "ArrowUp", "KeyE"]))).toEqual({ forward: 1, left: 0, turn: -1 });
  expect(steeringByKeys(new Set(["KeyW", "KeyS", "Space"]))).toEqual(STILL);
  expect(steers("KeyQ")).toBe(true);
  expect(steers("KeyP")).toBe(false);
});

test("given sticks, when they rest a little off the middle, then nothing moves, and beyond it begins at 0", () => {
  expect(steeringByGamepad([DEAD_ZONE, -DEAD_ZONE, 0.1])).toEqual(STILL);
  expect(steeringByGamepad([-1, -1, 1])).toEqual({ forward: 1, left: 1, turn: -1 });
  expect(steeringByGamepad([0, -(DEAD_ZONE + 0.001)]).forward).toBeCloseTo(0.001 / (1 - DEAD_ZONE));
});

test("given a held command, when another policy takes over, then it stays only where that policy knows it", () => {
  const driving = createDriving();
  driving.hold("command", [1, 0, 0]);
  driving.hold("height", [0.3]);
  driving.fit([GO1]);
  expect(driving.held.get()).toEqual({ command: [1, 0, 0] });
  driving.fit([]);
  expect(driving.held.get()).toBeNull();
});
