import type { AppliedForce, Vector } from "../physics/forces";
import type { Simulation } from "../physics/simulation";
import type { Grab } from "../protocol";
import { forceOn, isPullable, pullOf, type Spring, sameBody, springAt } from "./pull";

/** For how long forces are remembered for lanes whose control periods lie elsewhere, in simulated seconds. */
const memorySecs = 0.5;

interface Moment {
  readonly timeSecs: number;
  readonly force: Vector;
}

/** What is pulled, and where to; the other lanes' robots are pulled with the forces of this one. */
interface Hold {
  readonly lane: number;
  readonly simulation: Simulation;
  readonly spring: Spring;
  grab: Grab;
}

/** A person's hand. It pulls at one lane's robot; the same force acts on the same body of the others at the same time. */
export class Hand {
  #hold: Hold | undefined;
  #moments: Moment[] = [];
  #bodies = new Map<Simulation, number | undefined>();

  /** The lane whose robot is pulled; -1 for none. */
  get lane(): number {
    return this.#hold?.lane ?? -1;
  }

  /** Seizes a robot, or moves the hand that holds it. Says whether it can be pulled there. */
  seize(lane: number, simulation: Simulation, grab: Grab): boolean {
    const hold = this.#hold;
    if (hold?.lane === lane && hold.simulation === simulation && isSamePlace(hold.grab, grab)) {
      hold.grab = grab;
      return true;
    }
    this.release();
    if (!isPullable(simulation, grab.body) || simulation.model.geom_bodyid[grab.geom] !== grab.body) return false;
    this.#hold = { lane, simulation, grab, spring: springAt(simulation, grab) };
    return true;
  }

  release(): void {
    this.#hold = undefined;
    this.#moments = [];
    this.#bodies.clear();
  }

  /** The force on a lane's robot in the physics step that begins at this time. The lane that is pulled comes first. */
  forceOn(lane: number, simulation: Simulation, timeSecs: number): AppliedForce | undefined {
    const hold = this.#hold;
    if (!hold) return undefined;
    const { spring } = hold;
    if (lane === hold.lane) {
      const force = pullOf(simulation, spring, hold.grab.target);
      this.#remember({ timeSecs, force });
      return forceOn(simulation, spring.body, spring.point, force);
    }
    const force = this.#moments.findLast((moment) => moment.timeSecs <= timeSecs + 1e-9)?.force;
    const body = this.#bodyIn(simulation, spring);
    return force && body !== undefined ? forceOn(simulation, body, spring.point, force) : undefined;
  }

  #remember(moment: Moment): void {
    this.#moments.push(moment);
    while ((this.#moments[0]?.timeSecs ?? moment.timeSecs) < moment.timeSecs - memorySecs) this.#moments.shift();
  }

  #bodyIn(simulation: Simulation, spring: Spring): number | undefined {
    if (!this.#bodies.has(simulation)) this.#bodies.set(simulation, sameBody(simulation, spring));
    return this.#bodies.get(simulation);
  }
}

function isSamePlace(a: Grab, b: Grab): boolean {
  return a.geom === b.geom && a.body === b.body && a.point.every((value, k) => value === b.point[k]);
}
