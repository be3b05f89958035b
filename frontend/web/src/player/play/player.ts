import type { Controller } from "../controller/controller";
import { PlayerError } from "../errors";
import type { Vector } from "../physics/forces";
import {
  type ControllerFiles,
  type Draws,
  type Grab,
  type HeldCommands,
  MOST_LANES,
  type SceneFiles,
} from "../protocol";
import { Descriptions } from "./descriptions";
import { Hand } from "./hand";
import { Lane, type SendReport, type Surroundings } from "./lane";
import type { Loader } from "./loading";
import { RealTimeMeter, TickClock } from "./tickClock";

export type { SendReport } from "./lane";

/** Ticks are caught up for at most this long before the worker listens to the page again. */
const longestBurstMs = 25;
/** Two moments of simulated time that are nearer than this are one. */
const sameMomentSecs = 1e-9;
/** Time between two looks for something to move, where nothing does. */
const restSecs = 0.02;

/**
 * The worker's state: up to four robots, and the one clock by which they move. Ticks and changes happen one after another, never
 * interleaved. Several lanes advance in simulated time together, each in its own control periods: they begin from the same
 * reset, and those whose episode is over wait until all are.
 */
export class Player {
  readonly #loader: Loader;
  readonly #send: SendReport;
  readonly #meter = new RealTimeMeter();
  readonly #clock = new TickClock(20, 0);
  readonly #hand = new Hand();
  readonly #shared: Surroundings;
  #lanes: Lane[];
  #turn: Promise<unknown> = Promise.resolve();
  #simulatedSecs = 0;
  #playing = false;
  #looping = false;
  #speed = 1;
  #draws: Draws = "none";
  #contacts = false;

  constructor(loader: Loader, send: SendReport) {
    this.#loader = loader;
    this.#send = send;
    this.#shared = {
      loader,
      send,
      hand: this.#hand,
      descriptions: new Descriptions(),
      together: () => this.#lanes.length > 1,
      draws: () => this.#draws,
      contacts: () => this.#contacts,
      realTimeFactor: () => (this.#playing ? this.#meter.factor : 0),
    };
    this.#lanes = [new Lane(0, this.#shared)];
  }

  /** Says how many robots there are; the last ones go, and new ones have no scene yet. */
  setLanes(count: number): Promise<void> {
    const wanted = Math.min(MOST_LANES, Math.max(1, count));
    const gone = this.#lanes.slice(wanted);
    const added = Array.from({ length: Math.max(0, wanted - this.#lanes.length) }, (_, i) => this.#lanes.length + i);
    this.#lanes = [...this.#lanes.slice(0, wanted), ...added.map((index) => new Lane(index, this.#shared))];
    return this.#exclusively(() => {
      for (const lane of gone) lane.dispose();
      if (gone.length + added.length > 0) this.#beginAnew();
    });
  }

  /** Replaces the scene, and takes the controller away. A scene asked for later wins. */
  async loadScene(generation: number, files: SceneFiles, index = 0): Promise<void> {
    const lane = this.#lanes[index];
    if (!lane) return;
    lane.sceneGeneration = generation;
    const beganMs = performance.now();
    const loading = this.#loader.simulation(files);
    lane.sceneLoading = loading.catch(() => undefined);
    try {
      const simulation = await loading;
      await this.#exclusively(() => {
        if (generation !== lane.sceneGeneration) return simulation.dispose();
        lane.enter(generation, files, simulation, beganMs);
        this.#align(lane);
      });
    } catch (error) {
      if (generation === lane.sceneGeneration) lane.fail("scene", PlayerError.from(error, "SCENE_INVALID", "Scene"));
    }
    void this.#loop();
  }

  /**
   * Lets another controller drive from the next tick on, or none. The robot stays where it is when one controller follows
   * another; when the first one comes, it starts an episode, and all lanes with it. A controller that fails leaves the present
   * one in place.
   */
  async setController(generation: number, files: ControllerFiles | null, index = 0): Promise<void> {
    const lane = this.#lanes[index];
    if (!lane) return;
    lane.controllerGeneration = generation;
    const beganMs = performance.now();
    let controller: Controller | undefined;
    try {
      if (files) controller = await this.#loader.controller(files);
      await lane.sceneLoading;
      await this.#exclusively(async () => {
        // Without a scene there is nothing to drive; why there is none was told already, and a new one names its controller again.
        if (generation !== lane.controllerGeneration || (controller && !lane.hasScene))
          return controller?.graph.release();
        await this.#drive(lane, controller);
        this.#send({
          type: "controllerReady",
          lane: index,
          generation,
          controllerSha256: controller?.wiring.controllerSha256 ?? null,
          commands: controller?.wiring.commands ?? [],
          loadSecs: (performance.now() - beganMs) / 1000,
        });
      });
    } catch (error) {
      await controller?.graph.release();
      if (generation === lane.controllerGeneration) {
        lane.fail("controller", PlayerError.from(error, "GRAPH_FAILED", "The controller cannot be used"));
      }
    }
  }

  setPlaying(playing: boolean): void {
    this.#playing = playing;
    if (playing) void this.#loop();
    else void this.#exclusively(() => this.#postAll());
  }

  setSpeed(speed: number): void {
    this.#speed = Math.min(16, Math.max(0.05, speed));
    this.#repace();
  }

  setDraws(draws: Draws): void {
    this.#draws = draws;
  }

  setContacts(contacts: boolean): Promise<void> {
    this.#contacts = contacts;
    return this.#exclusively(() => this.#postAll());
  }

  /** Holds carry entries of a lane's controller at values; null leaves them to the environment. */
  setCommands(commands: HeldCommands | null, index = 0): Promise<void> {
    return this.#asked(index, (lane) => lane.setCommands(commands));
  }

  /** Pulls at a lane's robot, and at those of the others in the same way; null lets go. */
  grab(grab: Grab | null, index = 0): Promise<void> {
    return this.#exclusively(() => {
      const simulation = this.#lanes[index]?.simulation;
      if (grab && simulation) this.#hand.seize(index, simulation, grab);
      else this.#hand.release();
    });
  }

  /** Gives all robots about this speed within a tenth of a second; a lane without a direction takes the first. */
  shove(directions: readonly Vector[], speed: number): Promise<void> {
    return this.#exclusively(() => {
      for (const lane of this.#lanes) lane.shove(directions[lane.index] ?? directions[0] ?? [0, 0, 0], speed);
    });
  }

  setJoint(qposIndex: number, value: number, index = 0): Promise<void> {
    return this.#asked(index, (lane) => {
      lane.setJoint(qposIndex, value);
      lane.post(now(), true);
    });
  }

  setCtrl(values: readonly number[] | null, index = 0): Promise<void> {
    return this.#asked(index, (lane) => {
      lane.setCtrl(values);
      lane.post(now(), true);
    });
  }

  reset(): Promise<void> {
    return this.#exclusively(() => {
      this.#beginAnew();
      this.#postAll();
    });
  }

  /** Takes one tick, whatever the clock says. */
  step(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#tick(now(), this.#gapSecs());
      this.#postAll();
    });
  }

  recycle(poses: Float32Array<ArrayBuffer>, index = 0): void {
    this.#lanes[index]?.recycle(poses);
  }

  async #loop(): Promise<void> {
    if (this.#looping) return;
    this.#looping = true;
    this.#clock.restart(now());
    this.#meter.restart();
    while (this.#playing && this.#lanes.some(({ hasScene }) => hasScene)) {
      const burstEndsMs = now() + longestBurstMs;
      while (now() < burstEndsMs && now() >= this.#clock.nextDueMs) {
        await this.#exclusively(async () => {
          const gapSecs = this.#gapSecs();
          const dueMs = this.#clock.take(now(), this.#paced(gapSecs));
          if (dueMs !== undefined) await this.#tick(dueMs, gapSecs);
        });
      }
      await sleep(this.#clock.nextDueMs - now());
    }
    this.#looping = false;
  }

  /** Ticks all lanes whose time has come, and goes on to the next moment at which one's does, `gapSecs` later. */
  async #tick(dueMs: number, gapSecs: number): Promise<void> {
    const due = this.#moving.filter(({ untilSecs }) => untilSecs < sameMomentSecs);
    // The lane that is pulled goes first: the others feel what it feels.
    due.sort((a, b) => Number(b.index === this.#hand.lane) - Number(a.index === this.#hand.lane));
    for (const lane of due) {
      lane.untilSecs += lane.periodSecs;
      await this.#tickLane(lane, dueMs);
    }
    for (const lane of this.#lanes) lane.untilSecs = Math.max(0, lane.untilSecs - gapSecs);
    this.#simulatedSecs += gapSecs;
    this.#meter.advance(now(), 1000 * gapSecs);
    const driven = this.#lanes.filter(({ isDriven }) => isDriven);
    if (driven.length > 0 && driven.every(({ ended }) => ended !== "")) this.#beginAnew();
  }

  async #tickLane(lane: Lane, dueMs: number): Promise<void> {
    try {
      const ended = await lane.tick(dueMs, this.#simulatedSecs);
      // A robot that nobody drives has nothing to compare: it waits for none.
      if (ended && !lane.isDriven) lane.restart(0);
    } catch (thrown) {
      this.#recover(lane, PlayerError.from(thrown, "GRAPH_FAILED", "A control tick failed"));
    }
  }

  /** Reports a failed tick and goes on: with a new episode after a divergence, else without the controller. */
  #recover(lane: Lane, error: PlayerError): void {
    lane.fail("playing", error);
    if (error.code !== "PHYSICS_DIVERGED") lane.disengage();
    else if (lane.isDriven) lane.giveUp();
    else lane.restart(0);
  }

  /** Lanes that the clock moves: those with a scene whose episode is not over. */
  get #moving(): Lane[] {
    return this.#lanes.filter(({ hasScene, ended }) => hasScene && ended === "");
  }

  /** Simulated time from this tick to the next. */
  #gapSecs(): number {
    const times = this.#moving.map(({ untilSecs, periodSecs }) =>
      untilSecs < sameMomentSecs ? untilSecs + periodSecs : untilSecs,
    );
    return times.length > 0 ? Math.min(...times) : restSecs;
  }

  async #drive(lane: Lane, controller: Controller | undefined): Promise<void> {
    const begins = controller ? await lane.engage(controller) : false;
    if (!controller) lane.disengage();
    if (begins && this.#lanes.length > 1) this.#beginAnew();
    else this.#align(lane);
    if (begins || !controller) this.#postAll();
  }

  /** Begins an episode in all lanes, from the same of their reset states. */
  #beginAnew(): void {
    const counts = this.#lanes.flatMap(({ resets }) => (resets > 0 ? [resets] : []));
    const reset = Math.floor(Math.random() * Math.min(...counts, Number.MAX_SAFE_INTEGER));
    for (const lane of this.#lanes) {
      lane.restart(reset);
      lane.untilSecs = 0;
    }
    this.#repace();
  }

  /** Lets a lane whose episode or period has changed tick at the next moment. */
  #align(lane: Lane): void {
    lane.untilSecs = 0;
    this.#repace();
  }

  #repace(): void {
    this.#clock.setPeriod(this.#paced(this.#gapSecs()), now());
  }

  #paced(simulatedSecs: number): number {
    return (1000 * simulatedSecs) / this.#speed;
  }

  #postAll(): void {
    for (const lane of this.#lanes) lane.post(now(), true);
  }

  /** Does what a person asked of a lane; what cannot be done is reported and changes nothing. */
  #asked(index: number, act: (lane: Lane) => void): Promise<void> {
    return this.#exclusively(() => {
      const lane = this.#lanes[index];
      if (!lane) return;
      try {
        act(lane);
      } catch (error) {
        lane.fail("command", PlayerError.from(error, "COMMAND_INVALID", "This cannot be done"));
      }
    });
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
