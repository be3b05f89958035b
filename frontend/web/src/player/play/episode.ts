import type { ResetState } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { checkCompatible } from "../controller/compatibility";
import type { Controller, Decision } from "../controller/controller";
import { PlayerError } from "../errors";
import type { ForceSource } from "../physics/forces";
import { idleCtrl, idleEpisodeSecs } from "../physics/idle";
import type { Simulation } from "../physics/simulation";
import type { Draws, EndOfEpisode } from "../protocol";

/** How an episode stands after a tick. */
export interface Standing {
  readonly timeSecs: number;
  readonly step: number;
  readonly driven: boolean;
  readonly controllerSha256: string;
  readonly reward: number;
  readonly terms: Readonly<Record<string, number>>;
  readonly episodeReturn: number;
}

/** One way to move a simulation, a control period at a time. */
export interface Episode {
  readonly periodSecs: number;
  readonly standing: Standing;
  /** Looks at the present state; says whether and how the episode ends in it. `advance` comes next unless it does. */
  observe(): Promise<EndOfEpisode>;
  /** Lets physics pass by one control period, with `forces` from outside. */
  advance(forces?: ForceSource): void;
}

/** What stands between a controller and its robot: it changes what is sensed and what is done. */
export interface Interference {
  sense(field: string, values: ArrayLike<number>): ArrayLike<number>;
  act(ctrl: ArrayLike<number>): ArrayLike<number>;
  /** Draws in [0, 1) for the controller's random inputs. */
  random(): number;
}

const nothingBetween: Interference = {
  sense: (_, values) => values,
  act: (ctrl) => ctrl,
  random: Math.random,
};

/** The robot under a controller. */
export class DrivenEpisode implements Episode {
  readonly #simulation: Simulation;
  readonly controller: Controller;
  readonly #draws: () => Draws;
  readonly #between: Interference;
  #before = new Map<string, Float64Array>();
  #step = 0;
  #ctrl: ArrayLike<number> = [];
  #state: Decision["state"] = [];
  #reward = 0;
  #terms: Readonly<Record<string, number>> = {};
  #return = 0;

  private constructor(
    simulation: Simulation,
    controller: Controller,
    draws: () => Draws,
    between: Interference = nothingBetween,
  ) {
    this.#simulation = simulation;
    this.controller = controller;
    this.#draws = draws;
    this.#between = between;
  }

  /**
   * Starts an episode from a reset state.
   *
   * @throws PlayerError MANIFEST_INVALID when the controller was made for another MuJoCo or another scene
   */
  static begin(
    simulation: Simulation,
    controller: Controller,
    reset: ResetState,
    draws: () => Draws,
    between?: Interference,
  ): DrivenEpisode {
    checkCompatible(controller.wiring.requirements, simulation);
    simulation.reset(Object.fromEntries(Object.entries(reset.data).map(([field, { values }]) => [field, values])));
    controller.begin(reset);
    const episode = new DrivenEpisode(simulation, controller, draws, between);
    episode.#keepBefore();
    return episode;
  }

  /** Goes on with another controller: the robot stays where it is, and what both controllers remember goes on. */
  handOver(controller: Controller, reset: ResetState): DrivenEpisode {
    checkCompatible(controller.wiring.requirements, this.#simulation);
    controller.takeOver(this.controller.carry, reset);
    const next = new DrivenEpisode(this.#simulation, controller, this.#draws);
    next.#step = this.#step;
    next.#return = this.#return;
    next.#before = this.#before;
    // Arrays that only the new controller wants from before the last period are taken as they are now.
    for (const field of controller.wiring.fieldsBefore) if (!next.#before.has(field)) next.#keep(field);
    return next;
  }

  get periodSecs(): number {
    return this.controller.wiring.controlPeriodSecs;
  }

  get standing(): Standing {
    return {
      timeSecs: this.#step * this.periodSecs,
      step: this.#step,
      driven: true,
      controllerSha256: this.controller.wiring.controllerSha256,
      reward: this.#reward,
      terms: this.#terms,
      episodeReturn: this.#return,
    };
  }

  /** What the controller wrote to `mjData.ctrl` last. */
  get ctrl(): ArrayLike<number> {
    return this.#ctrl;
  }

  async observe(): Promise<EndOfEpisode> {
    const between = this.#between;
    const decision = await this.controller.decide(
      (field) => between.sense(field, this.#simulation.read(field)),
      (field) => this.#before.get(field) ?? [],
      this.#draws(),
      between.random,
    );
    this.#ctrl = decision.ctrl;
    this.#state = decision.state;
    this.#reward = decision.reward;
    this.#terms = decision.terms;
    this.#return += decision.reward;
    // Where the environment itself ends an episode that diverged, that is the end, and no failure.
    if (!decision.done) {
      this.#simulation.checkFinite();
      checkCtrl(decision.ctrl);
    }
    if (decision.done) return "done";
    return this.#step >= this.controller.wiring.episodeLength ? "time" : "";
  }

  advance(forces?: ForceSource): void {
    for (const { field, values } of this.#state) this.#simulation.setState(field, values);
    this.#keepBefore();
    this.#simulation.setCtrl(this.#between.act(this.#ctrl));
    this.#simulation.step(this.controller.wiring.physicsStepsPerControl, forces);
    this.#step += 1;
  }

  #keepBefore(): void {
    for (const field of this.controller.wiring.fieldsBefore) this.#keep(field);
  }

  #keep(field: string): void {
    this.#before.set(field, Float64Array.from(this.#simulation.read(field)));
  }
}

function checkCtrl(ctrl: ArrayLike<number>): void {
  if (Array.from(ctrl).every(Number.isFinite)) return;
  throw new PlayerError("GRAPH_FAILED", "The controller's output is not finite: its policy has diverged.");
}

/** Length of a tick without a controller, in seconds, about. */
const idlePeriodSecs = 0.02;

/**
 * The robot without a controller: held in its scene's keyframe, or without one swaying slowly from its reference state, or driven
 * by hand, for as long as that lasts.
 */
export class IdleEpisode implements Episode {
  readonly #simulation: Simulation;
  readonly #ctrlRanges: readonly (readonly [number, number])[];
  readonly #substeps: number;
  readonly #held: ArrayLike<number> | undefined;
  readonly #byHand: () => ArrayLike<number> | null;
  #step = 0;

  /** @param byHand what a person drives the actuators with; null for nothing */
  constructor(simulation: Simulation, byHand: () => ArrayLike<number> | null = () => null) {
    this.#byHand = byHand;
    this.#simulation = simulation;
    this.#ctrlRanges = simulation.ctrlRanges;
    this.#substeps = Math.max(1, Math.round(idlePeriodSecs / simulation.timestepSecs));
    this.#held = simulation.home();
  }

  get periodSecs(): number {
    return this.#substeps * this.#simulation.timestepSecs;
  }

  get standing(): Standing {
    const [timeSecs, step] = [this.#step * this.periodSecs, this.#step];
    return { timeSecs, step, driven: false, controllerSha256: "", reward: 0, terms: {}, episodeReturn: 0 };
  }

  async observe(): Promise<EndOfEpisode> {
    return this.#step * this.periodSecs >= idleEpisodeSecs && !this.#byHand() ? "time" : "";
  }

  advance(forces?: ForceSource): void {
    const idle = this.#held ?? idleCtrl(this.#step * this.periodSecs, this.#ctrlRanges);
    this.#simulation.setCtrl(this.#byHand() ?? idle);
    this.#simulation.step(this.#substeps, forces);
    this.#simulation.checkFinite();
    this.#step += 1;
  }
}
