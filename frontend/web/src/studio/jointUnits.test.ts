import { expect, test } from "vitest";
import type { JointSpec } from "../player";
import { jointValue, rangeOf } from "./jointUnits";

const HINGE: JointSpec = { name: "knee", kind: "hinge", qposIndex: 0, low: -0.5, high: 1.5, limited: true };
const FINGER: JointSpec = { name: "finger", kind: "slide", qposIndex: 1, low: 0, high: 0.04, limited: true };
const CART: JointSpec = { name: "slider", kind: "slide", qposIndex: 2, low: 0, high: 0, limited: false };

test("given joints, when their values are told, then in degrees, centimetres or metres, as it suits them", () => {
  expect(jointValue(HINGE, Math.PI / 2)).toBe("90°");
  expect(jointValue(HINGE, -0.001)).toBe("0°");
  expect(jointValue(HINGE, -1)).toBe("−57°");
  expect(jointValue(FINGER, 0.0215)).toBe("2.1\u00a0cm");
  expect(jointValue(CART, -1.25)).toBe("−1.25\u00a0m");
});

test("given a joint without limits, when it gets a slider, then that has room on both sides", () => {
  expect(rangeOf(HINGE)).toEqual([-0.5, 1.5]);
  expect(rangeOf({ ...HINGE, limited: false })).toEqual([-Math.PI, Math.PI]);
  expect(rangeOf(CART)).toEqual([-2, 2]);
});
