import { type AppliedForce, addScaled, type Vector } from "../physics/forces";
import { robotRoot } from "../physics/robotMass";
import type { Simulation } from "../physics/simulation";

/** How long a push lasts, in simulated seconds. */
export const shoveSecs = 0.1;

/** A push: the force on the robot's first body that gives the robot's whole mass this velocity within a tenth of a second. */
export class Shove {
  readonly #body: number;
  readonly #force: Vector;
  readonly #stepSecs: number;
  #leftSecs: number;

  /** @param speed in metres per second; the direction's length is of no meaning */
  constructor(simulation: Simulation, direction: Vector, speed: number) {
    const root = robotRoot(simulation.model);
    const length = Math.hypot(...direction);
    const isPush = root !== undefined && length > 0 && Number.isFinite(length * speed);
    this.#body = root?.body ?? 0;
    this.#force = isPush ? addScaled([0, 0, 0], direction, (root.massKg * speed) / (length * shoveSecs)) : [0, 0, 0];
    this.#stepSecs = simulation.timestepSecs;
    this.#leftSecs = isPush ? shoveSecs : 0;
  }

  get isOver(): boolean {
    return this.#leftSecs < 1e-9;
  }

  /** The force of the next physics step, which takes its time from what is left. */
  next(): AppliedForce {
    const share = Math.max(0, Math.min(1, this.#leftSecs / this.#stepSecs));
    this.#leftSecs -= this.#stepSecs;
    return { body: this.#body, force: addScaled([0, 0, 0], this.#force, share), torque: [0, 0, 0] };
  }
}
