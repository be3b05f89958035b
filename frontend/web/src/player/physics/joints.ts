import type { MjModel } from "@mujoco/mujoco";
import { PlayerError } from "../errors";
import type { ActuatorSpec, JointSpec } from "../protocol";
import { readOff } from "./accessor";
import type { Simulation } from "./simulation";

/** By the values of MuJoCo's `mjtJoint`; balls and free joints have more numbers than one. */
const kinds: Readonly<Record<number, JointSpec["kind"]>> = { 2: "slide", 3: "hinge" };

/** The joints that one number moves. The arrays of truth values cannot be read; the accessors of one can. */
export function jointsOf(model: MjModel): JointSpec[] {
  return Array.from({ length: model.njnt }, (_, i) => i).flatMap((i) => {
    const kind = kinds[model.jnt_type[i] as number];
    if (!kind) return [];
    const said = readOff(model.jnt(i), ({ name, limited }) => ({ name, limited: Boolean(limited) }));
    const [low = 0, high = 0]: number[] = [model.jnt_range[2 * i], model.jnt_range[2 * i + 1]];
    return [{ ...said, kind, qposIndex: model.jnt_qposadr[i] as number, low, high }];
  });
}

export function actuatorsOf(model: MjModel): ActuatorSpec[] {
  return Array.from({ length: model.nu }, (_, i) => {
    const said = readOff(model.actuator(i), ({ name, ctrllimited }) => ({ name, limited: Boolean(ctrllimited) }));
    const [low = 0, high = 0]: number[] = [model.actuator_ctrlrange[2 * i], model.actuator_ctrlrange[2 * i + 1]];
    return { ...said, low, high };
  });
}

/**
 * Moves one joint, within its range, and stops it there; no time passes.
 *
 * @throws PlayerError COMMAND_INVALID when there is no such joint
 */
export function poseJoint(simulation: Simulation, qposIndex: number, value: number): void {
  const { model, data } = simulation;
  const joint = jointsOf(model).find((candidate) => candidate.qposIndex === qposIndex);
  if (!joint || !Number.isFinite(value)) {
    throw new PlayerError("COMMAND_INVALID", `This robot has no joint whose number is ${qposIndex} of qpos.`);
  }
  const dof: number = model.jnt_dofadr[Array.from(model.jnt_qposadr as Int32Array).indexOf(qposIndex)];
  data.qpos[qposIndex] = joint.limited ? Math.min(joint.high, Math.max(joint.low, value)) : value;
  data.qvel[dof] = 0;
  simulation.forward();
}

/**
 * Checks values for all actuators and returns them within their ranges.
 *
 * @throws PlayerError COMMAND_INVALID when their number is another
 */
export function clippedCtrl({ model }: Simulation, values: readonly number[]): number[] {
  if (values.length !== model.nu || !values.every(Number.isFinite)) {
    throw new PlayerError("COMMAND_INVALID", `This robot has ${model.nu} actuators; ${values.length} numbers came.`);
  }
  return actuatorsOf(model).map(({ low, high, limited }, i) => {
    const value = values[i] ?? 0;
    return limited ? Math.min(high, Math.max(low, value)) : value;
  });
}
