import type { MjModel } from "@mujoco/mujoco";
import { readOff } from "../physics/accessor";
import {
  type AppliedForce,
  addScaled,
  bounded,
  cross,
  forceAt,
  rotate,
  rotateBack,
  subtract,
  type Vector,
  vectorAt,
} from "../physics/forces";
import { gravityOf, treeMassKg } from "../physics/robotMass";
import type { Simulation } from "../physics/simulation";
import type { Grab } from "../protocol";

/** Natural frequency of the spring with the whole robot on it. */
const springHz = 1.5;
/** The pull is never stronger than this many weights of the robot. */
const mostWeights = 4;

/** A spring and damper with one end on a robot. */
export interface Spring {
  readonly body: number;
  readonly bodyName: string;
  /** Where it holds, in the body's frame, in metres. */
  readonly point: Vector;
  /** In N/m and N s/m. */
  readonly stiffness: number;
  readonly damping: number;
  readonly mostNewtons: number;
}

/** Whether a force can move the body: it is no part of the world. */
export function isPullable({ model }: Simulation, body: number): boolean {
  return body > 0 && body < model.nbody && model.body_treeid[body] >= 0;
}

/**
 * A spring that moves all of the robot and is critically damped, as far as the part that was seized, which may be light, stays
 * steady under it in the model's time steps.
 */
export function springAt(simulation: Simulation, { geom, body, point }: Grab): Spring {
  const { model, data } = simulation;
  const massKg = treeMassKg(model, body);
  const place = addScaled(vectorAt(data.geom_xpos, geom), rotate(data.geom_xmat, geom, point), 1);
  const inBody = rotateBack(data.xmat, body, subtract(place, vectorAt(data.xpos, body)));
  const partKg = lightestKg(simulation, body, inBody);
  const rate = 2 * Math.PI * springHz;
  const dt = simulation.timestepSecs;
  return {
    body,
    bodyName: nameOf(model, body),
    point: inBody,
    stiffness: Math.min(massKg * rate ** 2, (0.2 * partKg) / dt ** 2),
    damping: Math.min(2 * massKg * rate, (0.4 * partKg) / dt),
    mostNewtons: mostWeights * massKg * gravityOf(model),
  };
}

/** What the spring pulls with now, in the world's frame, in newtons. */
export function pullOf(simulation: Simulation, spring: Spring, target: Vector): Vector {
  const place = placeOf(simulation, spring.body, spring.point);
  const pull = addScaled([0, 0, 0], subtract(target, place), spring.stiffness);
  return bounded(addScaled(pull, velocityAt(simulation, spring.body, place), -spring.damping), spring.mostNewtons);
}

/** The body of another robot that corresponds: of the same name, or of the same number; undefined where that cannot be pulled. */
export function sameBody(simulation: Simulation, { body, bodyName }: Spring): number | undefined {
  const { model } = simulation;
  const bodies = Array.from({ length: model.nbody }, (_, i) => i);
  const named = bodyName ? bodies.find((i) => nameOf(model, i) === bodyName) : undefined;
  const same = named ?? body;
  return isPullable(simulation, same) ? same : undefined;
}

/** A force at a point given in the body's frame. */
export function forceOn(simulation: Simulation, body: number, point: Vector, force: Vector): AppliedForce {
  return forceAt(simulation, body, placeOf(simulation, body, point), force);
}

function placeOf({ data }: Simulation, body: number, point: Vector): Vector {
  return addScaled(vectorAt(data.xpos, body), rotate(data.xmat, body, point), 1);
}

/** Least mass that a force at the point has to move, by MuJoCo's inverse weights at the reference state. */
function lightestKg({ model }: Simulation, body: number, point: Vector): number {
  const lever = subtract(point, vectorAt(model.body_ipos, body));
  const [along = 0, about = 0]: number[] = [model.body_invweight0[2 * body], model.body_invweight0[2 * body + 1]];
  // These are means over three directions; all of it may lie in one of them.
  const inverse = 3 * (along + about * Math.hypot(...lever) ** 2);
  return inverse > 0 ? 1 / inverse : Number.POSITIVE_INFINITY;
}

/** MuJoCo keeps the velocity of the body's matter at its tree's centre of mass, angular first. */
function velocityAt({ model, data }: Simulation, body: number, place: Vector): Vector {
  const [angular, linear] = [vectorAt(data.cvel, 2 * body), vectorAt(data.cvel, 2 * body + 1)];
  const centre = vectorAt(data.subtree_com, model.body_rootid[body] as number);
  return addScaled(linear, cross(angular, subtract(place, centre)), 1);
}

function nameOf(model: MjModel, body: number): string {
  return readOff(model.body(body), ({ name }) => name);
}
