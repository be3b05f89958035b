import type { Simulation } from "./simulation";

export type Vector = readonly [number, number, number];

/** A force and a torque on a body, in the world's frame, as `xfrc_applied` holds them: about the body's centre of mass. */
export interface AppliedForce {
  readonly body: number;
  readonly force: Vector;
  readonly torque: Vector;
}

/** What acts on a simulation from outside during one physics step; asked before each step. */
export type ForceSource = (simulation: Simulation) => readonly AppliedForce[];

/** A force that acts at a point of a body and not at its centre of mass. */
export function forceAt(simulation: Simulation, body: number, point: Vector, force: Vector): AppliedForce {
  const lever = subtract(point, vectorAt(simulation.data.xipos, body));
  return { body, force, torque: cross(lever, force) };
}

export function vectorAt(values: ArrayLike<number>, i: number): Vector {
  return [values[3 * i] ?? 0, values[3 * i + 1] ?? 0, values[3 * i + 2] ?? 0];
}

export function subtract(a: Vector, b: Vector): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/** `a + scale * b`. */
export function addScaled(a: Vector, b: Vector, scale: number): Vector {
  return [a[0] + scale * b[0], a[1] + scale * b[1], a[2] + scale * b[2]];
}

export function cross(a: Vector, b: Vector): Vector {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** `matrix * v`, where the matrix is the i-th of row-major ones. */
export function rotate(matrices: ArrayLike<number>, i: number, v: Vector): Vector {
  const row = (k: number) => dot(vectorAt(matrices, 3 * i + k), v);
  return [row(0), row(1), row(2)];
}

/** `matrixᵀ * v`. */
export function rotateBack(matrices: ArrayLike<number>, i: number, v: Vector): Vector {
  const [x, y, z] = [0, 1, 2].map((k) => vectorAt(matrices, 3 * i + k));
  const zero: Vector = [0, 0, 0];
  return addScaled(addScaled(addScaled(zero, x ?? zero, v[0]), y ?? zero, v[1]), z ?? zero, v[2]);
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** The vector, shortened to `longest` where it is longer. */
export function bounded(v: Vector, longest: number): Vector {
  const length = Math.hypot(...v);
  return length > longest ? addScaled([0, 0, 0], v, longest / length) : v;
}
