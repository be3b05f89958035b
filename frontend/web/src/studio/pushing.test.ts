import { expect, test } from "vitest";
import type { JointSpec } from "../player";
import { headingOf, pushDirection } from "./pushing";

const joint = (qposIndex: number): JointSpec => ({
  name: "",
  kind: "hinge",
  qposIndex,
  low: 0,
  high: 0,
  limited: false,
});
/** A body at the origin, turned about the vertical. */
const turned = (rad: number) => [0, 0, 0.3, Math.cos(rad / 2), 0, 0, Math.sin(rad / 2), 0.1];

test("given a robot that moves freely, when it is pushed, then the push turns with it", () => {
  const heading = headingOf(turned(Math.PI / 2), [joint(7)]);
  expect(heading).toBeCloseTo(Math.PI / 2);
  expect(pushDirection("forwards", heading)).toEqual([0, 1, 0]);
  expect(pushDirection("left", heading)).toEqual([-1, 0, 0]);
});

test("given a robot on a rail, when it is pushed, then forwards is along the world's x", () => {
  expect(headingOf([0.5, 1], [joint(0), joint(1)])).toBe(0);
  expect(pushDirection("forwards", 0)).toEqual([1, 0, 0]);
  expect(pushDirection("backwards", 0)).toEqual([-1, 0, 0]);
  expect(pushDirection("right", 0)).toEqual([0, -1, 0]);
});
