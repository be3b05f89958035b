import { expect, test } from "vitest";
import { limbsOf, searched } from "./parts";

const named = (...names: string[]) => names.map((name) => ({ name }));
const read = (...names: string[]) =>
  limbsOf(named(...names), "Joint").map(({ title, parts }) => [title, ...parts.map(({ label }) => label)]);

test("given names of a humanoid, when they are read, then joints stand by limb, and in words", () => {
  expect(
    read("left_hip_pitch_joint", "left_knee_joint", "waist_yaw_joint", "left_shoulder_roll_joint", "left_elbow_joint"),
  ).toEqual([
    ["Left leg", "Hip pitch", "Knee"],
    ["Trunk", "Waist yaw"],
    ["Left arm", "Shoulder roll", "Elbow"],
  ]);
  expect(read("head_pan_act", "l_sho_pitch_act", "r_ank_roll_act", "right_shoulder1")).toEqual([
    ["Head", "Head pan"],
    ["Left arm", "Shoulder pitch"],
    ["Right leg", "Ankle roll"],
    ["Right arm", "Shoulder 1"],
  ]);
});

test("given `rf`, when it is a leg of four or a finger, then the names around it decide", () => {
  expect(read("LF_HAA", "RF_HAA", "LH_KFE")).toEqual([
    ["Front left leg", "Hip sideways"],
    ["Front right leg", "Hip sideways"],
    ["Rear left leg", "Knee bend"],
  ]);
  expect(read("if_mcp", "rf_dip", "th_cmc")).toEqual([
    ["Index finger", "Knuckle"],
    ["Ring finger", "Tip"],
    ["Thumb", "Base"],
  ]);
});

test("given names that say little or nothing, when they are read, then each still has a label of its own", () => {
  expect(read("slider", "hinge_1")).toEqual([["", "Slider", "Hinge 1"]]);
  expect(read("joint1", "joint2", "")).toEqual([["", "Joint 1", "Joint 2", "Joint 3"]]);
  expect(read("rootz", "rootx", "bthigh")).toEqual([
    ["Whole body", "Height", "Forwards"],
    ["Back leg", "Thigh"],
  ]);
});

test("given a search, when it fits a limb or a joint's own name, then only that is left, at its place", () => {
  const limbs = limbsOf(named("left_knee_joint", "right_knee_joint", "waist_yaw_joint"), "Joint");
  expect(searched(limbs, "RIGHT").flatMap(({ parts }) => parts.map(({ index }) => index))).toEqual([1]);
  expect(searched(limbs, "waist_yaw")).toHaveLength(1);
  expect(searched(limbs, " ")).toBe(limbs);
  expect(searched(limbs, "tail")).toEqual([]);
});
