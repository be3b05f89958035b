import type { ResetState } from "../../gen/tabrl/exporter/v1/manifest_pb";
import type { Controller } from "../controller/controller";
import { PlayerError } from "../errors";
import type { ForceSource, Vector } from "../physics/forces";
import { actuatorsOf, clippedCtrl, jointsOf, poseJoint } from "../physics/joints";
import { writePoses } from "../physics/poses";
import type { Simulation } from "../physics/simulation";
import type { Doing, Draws, EndOfEpisode, HeldCommands, PlayerTick, Report, SceneFiles } from "../protocol";
import { type SnapshotLayout, snapshotLength } from "../sceneDescription";
import type { Descriptions } from "./descriptions";
import { DrivenEpisode, type Episode, IdleEpisode } from "./episode";
import type { Hand } from "./hand";
import type { Loader } from "./loading";
import { Shove } from "./shove";

/** Where reports go; `transfer` names the buffers that go with one and are gone here afterwards. */
export type SendReport = (report: Report, transfer?: Transferable[]) => void;

/** Snapshots under way to the page at most; more would only pile up where the page draws slowly. */
const snapshotRing = 4;
/** Snapshots are for the eye: no more than about 60 a second. */
const snapshotGapMs = 15;

interface Scene {
  readonly files: SceneFiles;
  readonly generation: number;
  readonly simulation: Simulation;
  readonly layout: SnapshotLayout;
}

/** What all lanes share. */
export interface Surroundings {
  readonly loader: Loader;
  readonly send: SendReport;
  readonly hand: Hand;
  readonly descriptions: Descriptions;
  /** Whether there are other lanes. */
  readonly together: () => boolean;
  readonly draws: () => Draws;
  readonly contacts: () => boolean;
  /** Simulated seconds per second. */
  readonly realTimeFactor: () => number;
}

/** One robot: its scene, what moves it, and its snapshots. Who calls sees to it that one thing happens after another. */
export class Lane {
  readonly #shared: Surroundings;
  #scene: Scene | undefined;
  #episode: Episode | undefined;
  #episodes = 0;
  #lastReturn: number | undefined;
  #commands: HeldCommands | null = null;
  #byHand: readonly number[] | null = null;
  #shoves: Shove[] = [];
  #ended: EndOfEpisode = "";
  #buffers: Float32Array<ArrayBuffer>[] = [];
  #lastSnapshotMs = 0;
  sceneLoading: Promise<unknown> = Promise.resolve();
  sceneGeneration = 0;
  controllerGeneration = 0;
  /** Simulated time until its next tick. */
  untilSecs = 0;

  constructor(
    readonly index: number,
    shared: Surroundings,
  ) {
    this.#shared = shared;
  }

  get hasScene(): boolean {
    return this.#scene !== undefined;
  }

  get simulation(): Simulation | undefined {
    return this.#scene?.simulation;
  }

  get periodSecs(): number {
    return this.#episode?.periodSecs ?? 0.02;
  }

  /** Reset states that its controller can start from; 0 without one. */
  get resets(): number {
    return this.#driver?.wiring.resets.length ?? 0;
  }

  get isDriven(): boolean {
    return this.#driver !== undefined;
  }

  /** How its episode ended, while it waits for the others. */
  get ended(): EndOfEpisode {
    return this.#ended;
  }

  get #driver(): Controller | undefined {
    return this.#episode instanceof DrivenEpisode ? this.#episode.controller : undefined;
  }

  /** Puts a scene on stage, with nobody driving. */
  enter(generation: number, files: SceneFiles, simulation: Simulation, beganMs: number): void {
    this.#release();
    this.#change(generation, files, simulation, beganMs);
    this.#begin(new IdleEpisode(simulation, () => this.#byHand));
  }

  /**
   * Lets a controller drive. The robot stays where it is when one controller follows another; else an episode begins, and the
   * answer is true.
   *
   * @throws PlayerError what is wrong with the controller; then nothing has changed
   */
  async engage(controller: Controller): Promise<boolean> {
    const { wiring } = controller;
    const [scene, previous] = [this.#scene, this.#episode];
    if (!scene) throw new PlayerError("SCENE_INVALID", "There is no scene for the controller to drive.");
    const reset = resetAt(wiring.resets, Math.floor(Math.random() * wiring.resets.length));
    this.#holdKnown(controller);
    const sameScene = wiring.scene.xml.sha256 === scene.files.xml.sha256;
    if (sameScene && previous instanceof DrivenEpisode) {
      // Tried on the present state first, so that one that does not work never drives.
      await previous.handOver(controller, reset).observe();
      this.#episode = previous.handOver(controller, reset);
      await previous.controller.graph.release();
      return false;
    }
    const beganMs = performance.now();
    // The controller knows its own scene best: an older policy keeps the robot that it was trained on.
    const simulation = sameScene ? scene.simulation : await this.#shared.loader.simulation(wiring.scene);
    const begin = () => DrivenEpisode.begin(simulation, controller, reset, this.#shared.draws);
    try {
      await begin().observe();
    } catch (error) {
      if (!sameScene) simulation.dispose();
      // Trying it moved the robot that is on stage.
      else this.restart(0);
      throw error;
    }
    this.#release();
    if (!sameScene) this.#change(scene.generation, wiring.scene, simulation, beganMs);
    this.#begin(begin());
    return true;
  }

  /** Takes the controller away. */
  disengage(): void {
    if (!this.#scene || !this.isDriven) return;
    this.#release();
    this.#begin(new IdleEpisode(this.#scene.simulation, () => this.#byHand));
  }

  /** Starts a new episode, from this reset state where a controller drives. */
  restart(reset: number): void {
    const [driver, scene] = [this.#driver, this.#scene];
    if (!scene) return;
    if (driver) {
      const state = resetAt(driver.wiring.resets, reset);
      this.#begin(DrivenEpisode.begin(scene.simulation, driver, state, this.#shared.draws));
    } else {
      this.#begin(new IdleEpisode(scene.simulation, () => this.#byHand));
    }
  }

  /**
   * Takes one tick; `timeSecs` is the simulated time that all lanes share.
   *
   * @throws PlayerError
   */
  async tick(dueMs: number, timeSecs: number): Promise<EndOfEpisode> {
    const [episode, scene] = [this.#episode, this.#scene];
    if (!episode || !scene) return "";
    this.#ended = await episode.observe();
    this.post(dueMs, this.#ended !== "");
    if (this.#ended === "") episode.advance(this.#forces(scene.simulation, timeSecs));
    else if (episode.standing.driven) this.#lastReturn = episode.standing.episodeReturn;
    return this.#ended;
  }

  /** Counts a failed episode as one that the environment ended. */
  giveUp(): void {
    this.#ended = "done";
  }

  /** @throws PlayerError COMMAND_INVALID; then nothing has changed */
  setCommands(commands: HeldCommands | null): void {
    this.#driver?.hold(commands);
    this.#commands = commands;
  }

  /** @throws PlayerError COMMAND_INVALID */
  setJoint(qposIndex: number, value: number): void {
    if (this.#scene) poseJoint(this.#scene.simulation, qposIndex, value);
  }

  /** @throws PlayerError COMMAND_INVALID; then nothing has changed */
  setCtrl(values: readonly number[] | null): void {
    if (!this.#scene) return;
    const { simulation } = this.#scene;
    this.#byHand = values && clippedCtrl(simulation, values);
    // At once, so that what a person sees and goes on from is what they have just set, also while no time passes.
    if (this.#byHand && !this.isDriven) simulation.setCtrl(this.#byHand);
  }

  shove(direction: Vector, speed: number): void {
    if (this.#scene && !this.#ended) this.#shoves.push(new Shove(this.#scene.simulation, direction, speed));
  }

  recycle(poses: Float32Array<ArrayBuffer>): void {
    if (poses.length === this.#snapshotLength && this.#buffers.length < snapshotRing) this.#buffers.push(poses);
  }

  /** Sends a snapshot, unless the last one was a moment ago; `always` is for what must be seen. */
  post(dueMs: number, always: boolean): void {
    const [scene, episode] = [this.#scene, this.#episode];
    const nowMs = performance.now();
    if (!scene || !episode || (!always && nowMs - this.#lastSnapshotMs < snapshotGapMs)) return;
    const poses = this.#buffers.pop() ?? (always ? new Float32Array(this.#snapshotLength) : undefined);
    if (!poses) return;
    this.#lastSnapshotMs = nowMs;
    const { simulation, generation, layout } = scene;
    const { hand, contacts: wanted, realTimeFactor, send } = this.#shared;
    writePoses(simulation.model, simulation.data, layout, poses);
    const tick: PlayerTick = {
      ...episode.standing,
      episode: this.#episodes,
      lastEpisodeReturn: this.#lastReturn,
      realTimeFactor: realTimeFactor(),
      qpos: Float64Array.from(simulation.read("qpos")),
      ctrl: Float64Array.from(simulation.read("ctrl")),
      grabbed: hand.lane >= 0,
      ended: this.#ended,
    };
    const contacts = wanted() ? simulation.contacts() : undefined;
    send({ type: "snapshot", lane: this.index, generation, tick, poses, dueMs, ...(contacts && { contacts }) }, [
      poses.buffer,
      tick.qpos.buffer,
      tick.ctrl.buffer,
      ...(contacts ? [contacts.buffer] : []),
    ]);
  }

  fail(doing: Doing, error: PlayerError): void {
    this.#shared.send({ type: "failed", lane: this.index, doing, fault: error.toFault() });
  }

  dispose(): void {
    this.sceneGeneration = -1;
    this.controllerGeneration = -1;
    this.#release();
    this.#letGo();
    this.#scene?.simulation.dispose();
    this.#scene = undefined;
    this.#episode = undefined;
    this.#buffers = [];
  }

  #forces(simulation: Simulation, timeSecs: number): ForceSource | undefined {
    const { hand } = this.#shared;
    this.#shoves = this.#shoves.filter(({ isOver }) => !isOver);
    if (hand.lane < 0 && this.#shoves.length === 0) return undefined;
    let nowSecs = timeSecs;
    return () => {
      const pull = hand.forceOn(this.index, simulation, nowSecs);
      nowSecs += simulation.timestepSecs;
      return [...(pull ? [pull] : []), ...this.#shoves.map((shove) => shove.next())];
    };
  }

  /** Holds what was asked for. A controller that does not know it drives all the same, and the page is told. */
  #holdKnown(controller: Controller): void {
    try {
      controller.hold(this.#commands);
    } catch (error) {
      this.fail("command", PlayerError.from(error, "COMMAND_INVALID", "The command cannot be given"));
    }
  }

  #change(generation: number, files: SceneFiles, simulation: Simulation, beganMs: number): void {
    simulation.home();
    const { descriptions, together } = this.#shared;
    const { description, transfer } = descriptions.of(files, simulation, together());
    const old = this.#scene;
    this.#letGo();
    this.#scene = { files, generation, simulation, layout: description.layout };
    old?.simulation.dispose();
    this.#buffers = Array.from({ length: snapshotRing }, () => new Float32Array(this.#snapshotLength));
    this.#episodes = 0;
    this.#lastReturn = undefined;
    this.#byHand = null;
    const { sizes, model } = simulation;
    const loadSecs = (performance.now() - beganMs) / 1000;
    const [joints, actuators] = [jointsOf(model), actuatorsOf(model)];
    this.#shared.send(
      { type: "sceneReady", lane: this.index, generation, description, sizes, joints, actuators, loadSecs },
      transfer,
    );
  }

  /** A hand that holds this lane's robot, or one like it, knows it no more. */
  #letGo(): void {
    if (this.#shared.hand.lane >= 0) this.#shared.hand.release();
  }

  #release(): void {
    void this.#driver?.graph.release();
  }

  #begin(episode: Episode): void {
    this.#episode = episode;
    this.#episodes += 1;
    this.#ended = "";
    this.#shoves = [];
  }

  get #snapshotLength(): number {
    return this.#scene ? snapshotLength(this.#scene.layout) : 0;
  }
}

function resetAt(resets: readonly ResetState[], index: number): ResetState {
  const reset = resets[index % resets.length];
  if (!reset) throw new PlayerError("MANIFEST_INVALID", "The controller has no state to start from.");
  return reset;
}
