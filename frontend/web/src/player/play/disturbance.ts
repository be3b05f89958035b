import { standardNormal } from "../controller/controller";
import type { ForceSource } from "../physics/forces";
import { robotRoot } from "../physics/robotMass";
import type { Simulation } from "../physics/simulation";
import type { Disturbance } from "../protocol";
import type { Interference } from "./episode";
import { Shove } from "./shove";

/** Time from one push to the next, in simulated seconds. */
const pushGapSecs = 2;
/** Noise of velocities for a noise of 1 on positions, per second. */
const velocityNoisePerSec = 10;

/** A disturbance at work in one simulation, which is of no use for anything else afterwards: its model has changed. */
export interface Disturbing {
  readonly between: Interference;
  /** Forces of the control period that begins at this time of the episode. */
  forces(timeSecs: number): ForceSource | undefined;
}

/** Applies a disturbance to a simulation; all that it draws follows from the seed. */
export function disturb(simulation: Simulation, disturbance: Disturbance, seed: number): Disturbing {
  changeModel(simulation, disturbance);
  const { pushSpeed = 0, sensorNoise = 0, delayTicks = 0 } = disturbance;
  // One row of draws for the environment, which is the same under every disturbance, and one for ours.
  const [theirs, ours] = [drawsFrom(seed), drawsFrom(seed + 0x9e3779b9)];
  const late: Float64Array[] = [];
  let shove: Shove | undefined;
  let pushes = 0;
  return {
    between: {
      random: theirs,
      sense: (field, values) => (sensorNoise > 0 ? noisy(field, values, sensorNoise, ours) : values),
      act(ctrl) {
        late.push(Float64Array.from(ctrl));
        if (late.length > delayTicks + 1) late.shift();
        return late[0] ?? ctrl;
      },
    },
    forces(timeSecs) {
      if (pushSpeed > 0 && timeSecs >= pushGapSecs * (pushes + 1)) {
        pushes += 1;
        const angle = 2 * Math.PI * ours();
        shove = new Shove(simulation, [Math.cos(angle), Math.sin(angle), 0], pushSpeed);
      }
      const active = shove;
      return active && !active.isOver ? () => [active.next()] : undefined;
    },
  };
}

/** Adds what is carried, and changes friction and strength. */
function changeModel(simulation: Simulation, { payloadShare = 0, friction = 1, strength = 1 }: Disturbance): void {
  const { model } = simulation;
  const root = robotRoot(model);
  if (payloadShare > 0 && root) {
    const factor = 1 + (payloadShare * root.massKg) / (model.body_mass[root.body] as number);
    // The load has the place and shape of the body that carries it, so that inertia grows with mass.
    if (Number.isFinite(factor)) {
      scale(model.body_mass, root.body, 1, factor);
      scale(model.body_inertia, root.body, 3, factor);
      simulation.settleConstants();
    }
  }
  // Sliding, not turning or rolling, is what slippery ground changes.
  if (friction !== 1) {
    for (let geom = 0; geom < model.ngeom; geom += 1) model.geom_friction[3 * geom] *= friction;
    // Pairs that a model names have a friction of their own, in two directions.
    for (let pair = 0; pair < model.npair; pair += 1)
      scale(model.pair_friction.subarray(5 * pair, 5 * pair + 2), 0, 2, friction);
  }
  if (strength !== 1) {
    scaleAll(model.actuator_gainprm, strength);
    scaleAll(model.actuator_biasprm, strength);
  }
}

function noisy(field: string, values: ArrayLike<number>, noise: number, random: () => number): ArrayLike<number> {
  const deviation = { qpos: noise, qvel: noise * velocityNoisePerSec }[field];
  return deviation === undefined
    ? values
    : Float64Array.from(values, (value) => value + deviation * standardNormal(random));
}

/** Draws in [0, 1) that follow from a seed (mulberry32). */
export function drawsFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function scale(values: Float64Array, i: number, width: number, factor: number): void {
  for (let k = 0; k < width; k += 1) values[width * i + k] = (values[width * i + k] ?? 0) * factor;
}

function scaleAll(values: Float64Array, factor: number): void {
  values.forEach((value, i) => {
    values[i] = value * factor;
  });
}
