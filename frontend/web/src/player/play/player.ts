import type { ResetState } from "../../gen/tabrl/exporter/v1/manifest_pb";
import type { Controller } from "../controller/controller";
import { PlayerError } from "../errors";
import { describeScene } from "../physics/describe";
import { writePoses } from "../physics/poses";
import type { Simulation } from "../physics/simulation";
import type { ControllerFiles, Draws, PlayerTick, Report, SceneFiles } from "../protocol";
import { buffersOf, type SnapshotLayout, snapshotLength } from "../sceneDescription";
import { DrivenEpisode, type Episode, IdleEpisode } from "./episode";
import type { Loader } from "./loading";
import { RealTimeMeter, TickClock } from "./tickClock";

/** Where reports go; `transfer` names the buffers that go with one and are gone here afterwards. */
export type SendReport = (report: Report, transfer?: Transferable[]) => void;

/** Snapshots under way to the page at most; more would only pile up where the page draws slowly. */
const snapshotRing = 4;
/** Snapshots are for the eye: no more than about 60 a second. */
const snapshotGapMs = 15;
/** Ticks are caught up for at most this long before the worker listens to the page again. */
const longestBurstMs = 25;

interface Scene {
  readonly files: SceneFiles;
  readonly generation: number;
  readonly simulation: Simulation;
  readonly layout: SnapshotLayout;
}

/** The worker's state: a scene, what moves it, and the clock. Ticks and changes happen one after another, never interleaved. */
export class Player {
  readonly #loader: Loader;
  readonly #send: SendReport;
  readonly #meter = new RealTimeMeter();
  readonly #clock = new TickClock(20, 0);
  #turn: Promise<unknown> = Promise.resolve();
  #scene: Scene | undefined;
  #sceneLoading: Promise<unknown> = Promise.resolve();
  #sceneGeneration = 0;
  #controllerGeneration = 0;
  #episode: Episode | undefined;
  #episodes = 0;
  #lastReturn: number | undefined;
  #playing = false;
  #looping = false;
  #speed = 1;
  #draws: Draws = "none";
  #buffers: Float32Array<ArrayBuffer>[] = [];
  #lastSnapshotMs = 0;

  constructor(loader: Loader, send: SendReport) {
    this.#loader = loader;
    this.#send = send;
  }

  /** Replaces the scene, and takes the controller away. A scene asked for later wins. */
  async loadScene(generation: number, files: SceneFiles): Promise<void> {
    this.#sceneGeneration = generation;
    const beganMs = performance.now();
    const loading = this.#loader.simulation(files);
    this.#sceneLoading = loading.catch(() => undefined);
    try {
      const simulation = await loading;
      await this.#exclusively(() => {
        if (generation !== this.#sceneGeneration) return simulation.dispose();
        this.#enter(generation, files, simulation, beganMs);
        this.#begin(new IdleEpisode(simulation));
      });
    } catch (error) {
      if (generation === this.#sceneGeneration) this.#fail("scene", PlayerError.from(error, "SCENE_INVALID", "Scene"));
    }
    void this.#loop();
  }

  /**
   * Lets another controller drive from the next tick on, or none. The robot stays where it is when one controller follows
   * another; when the first one comes, it starts an episode. A controller that fails leaves the present one in place.
   */
  async setController(generation: number, files: ControllerFiles | null): Promise<void> {
    this.#controllerGeneration = generation;
    const beganMs = performance.now();
    let controller: Controller | undefined;
    try {
      if (files) controller = await this.#loader.controller(files);
      await this.#sceneLoading;
      await this.#exclusively(async () => {
        if (generation !== this.#controllerGeneration) return controller?.graph.release();
        await (controller ? this.#engage(controller) : this.#disengage());
        this.#send({
          type: "controllerReady",
          generation,
          controllerSha256: controller?.wiring.controllerSha256 ?? null,
          loadSecs: (performance.now() - beganMs) / 1000,
        });
      });
    } catch (error) {
      await controller?.graph.release();
      if (generation === this.#controllerGeneration) {
        this.#fail("controller", PlayerError.from(error, "GRAPH_FAILED", "The controller cannot be used"));
      }
    }
  }

  setPlaying(playing: boolean): void {
    this.#playing = playing;
    if (playing) void this.#loop();
    else void this.#exclusively(() => this.#post(now(), true));
  }

  setSpeed(speed: number): void {
    this.#speed = Math.min(16, Math.max(0.05, speed));
    if (this.#episode) this.#clock.setPeriod(this.#periodMs(this.#episode), now());
  }

  setDraws(draws: Draws): void {
    this.#draws = draws;
  }

  reset(): Promise<void> {
    return this.#exclusively(() => {
      this.#restart();
      this.#post(now(), true);
    });
  }

  /** Takes one tick, whatever the clock says. */
  step(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#tick(now());
      this.#post(now(), true);
    });
  }

  recycle(poses: Float32Array<ArrayBuffer>): void {
    if (poses.length === this.#snapshotLength) this.#buffers.push(poses);
  }

  async #loop(): Promise<void> {
    if (this.#looping) return;
    this.#looping = true;
    this.#clock.restart(now());
    this.#meter.restart();
    while (this.#playing && this.#scene) {
      const burstEndsMs = now() + longestBurstMs;
      let dueMs = this.#clock.take(now());
      while (dueMs !== undefined && now() < burstEndsMs) {
        const tickDueMs = dueMs;
        await this.#exclusively(() => this.#tick(tickDueMs));
        dueMs = this.#clock.take(now());
      }
      await sleep(this.#clock.nextDueMs - now());
    }
    this.#looping = false;
  }

  async #tick(dueMs: number): Promise<void> {
    const episode = this.#episode;
    if (!episode) return;
    try {
      const ended = await episode.observe();
      this.#post(dueMs, false);
      if (ended) {
        if (episode.standing.driven) this.#lastReturn = episode.standing.episodeReturn;
        this.#restart();
      } else {
        episode.advance();
      }
      this.#meter.advance(now(), episode.periodSecs * 1000);
    } catch (error) {
      this.#recover(PlayerError.from(error, "GRAPH_FAILED", "A control tick failed"));
    }
  }

  /** Reports a failed tick and goes on: from a fresh start after a divergence, else without the controller. */
  #recover(error: PlayerError): void {
    this.#fail("playing", error);
    const scene = this.#scene;
    if (!scene) return;
    if (error.code === "PHYSICS_DIVERGED") this.#restart();
    else this.#begin(new IdleEpisode(scene.simulation));
  }

  #enter(generation: number, files: SceneFiles, simulation: Simulation, beganMs: number): void {
    simulation.home();
    const description = describeScene(files.environmentId, simulation);
    const old = this.#scene;
    this.#scene = { files, generation, simulation, layout: description.layout };
    old?.simulation.dispose();
    this.#buffers = Array.from({ length: snapshotRing }, () => new Float32Array(this.#snapshotLength));
    this.#episodes = 0;
    this.#lastReturn = undefined;
    const loadSecs = (performance.now() - beganMs) / 1000;
    const { sizes } = simulation;
    this.#send({ type: "sceneReady", generation, description, sizes, loadSecs }, buffersOf(description));
  }

  async #engage(controller: Controller): Promise<void> {
    const { wiring } = controller;
    const [scene, previous] = [this.#scene, this.#episode];
    if (!scene) throw new PlayerError("SCENE_INVALID", "There is no scene for the controller to drive.");
    const reset = pick(wiring.resets);
    const sameScene = wiring.scene.xml.sha256 === scene.files.xml.sha256;
    if (sameScene && previous instanceof DrivenEpisode) {
      // Tried on the present state first, so that one that does not work never drives.
      await previous.handOver(controller, reset).observe();
      this.#continue(previous.handOver(controller, reset));
      await previous.controller.graph.release();
      return;
    }
    const beganMs = performance.now();
    // The controller knows its own scene best: an older policy keeps the robot that it was trained on.
    const simulation = sameScene ? scene.simulation : await this.#loader.simulation(wiring.scene);
    const begin = () => DrivenEpisode.begin(simulation, controller, reset, () => this.#draws);
    try {
      await begin().observe();
    } catch (error) {
      if (!sameScene) simulation.dispose();
      throw error;
    }
    this.#release();
    if (!sameScene) this.#enter(scene.generation, wiring.scene, simulation, beganMs);
    this.#begin(begin());
    this.#post(now(), true);
  }

  #disengage(): void {
    if (!(this.#episode instanceof DrivenEpisode) || !this.#scene) return;
    this.#release();
    this.#begin(new IdleEpisode(this.#scene.simulation));
  }

  #release(): void {
    if (this.#episode instanceof DrivenEpisode) void this.#episode.controller.graph.release();
  }

  #restart(): void {
    const [episode, scene] = [this.#episode, this.#scene];
    if (!episode || !scene) return;
    if (episode instanceof DrivenEpisode) {
      const { controller } = episode;
      const reset = pick(controller.wiring.resets);
      this.#begin(DrivenEpisode.begin(scene.simulation, controller, reset, () => this.#draws));
    } else {
      this.#begin(new IdleEpisode(scene.simulation));
    }
  }

  #begin(episode: Episode): void {
    this.#continue(episode);
    this.#episodes += 1;
  }

  #continue(episode: Episode): void {
    this.#episode = episode;
    this.#clock.setPeriod(this.#periodMs(episode), now());
  }

  #post(dueMs: number, always: boolean): void {
    const [scene, episode] = [this.#scene, this.#episode];
    if (!scene || !episode || (!always && now() - this.#lastSnapshotMs < snapshotGapMs)) return;
    const poses = this.#buffers.pop() ?? (always ? new Float32Array(this.#snapshotLength) : undefined);
    if (!poses) return;
    this.#lastSnapshotMs = now();
    const { simulation, generation, layout } = scene;
    writePoses(simulation.model, simulation.data, layout, poses);
    const tick: PlayerTick = {
      ...episode.standing,
      episode: this.#episodes,
      lastEpisodeReturn: this.#lastReturn,
      realTimeFactor: this.#playing ? this.#meter.factor : 0,
      qpos: Float64Array.from(simulation.read("qpos")),
    };
    this.#send({ type: "snapshot", generation, tick, poses, dueMs }, [poses.buffer, tick.qpos.buffer]);
  }

  get #snapshotLength(): number {
    return this.#scene ? snapshotLength(this.#scene.layout) : 0;
  }

  #periodMs(episode: Episode): number {
    return (1000 * episode.periodSecs) / this.#speed;
  }

  #fail(doing: "scene" | "controller" | "playing", error: PlayerError): void {
    this.#send({ type: "failed", doing, fault: error.toFault() });
  }

  #exclusively<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

/** Milliseconds on the clock that worker and page share. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function pick(resets: readonly ResetState[]): ResetState {
  const reset = resets[Math.floor(Math.random() * resets.length)];
  if (!reset) throw new PlayerError("MANIFEST_INVALID", "The controller has no state to start from.");
  return reset;
}

/** Lets other messages in, and comes back after about `ms`. Timers below 4 ms come late, so short waits use a message. */
function sleep(ms: number): Promise<void> {
  if (ms >= 2) return new Promise((resolve) => setTimeout(resolve, ms));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
