import { playerWorker } from "./ahead";
import { GATEWAY_FOLDER } from "./artifacts";
import { PlayerError } from "./errors";
import type {
  Command,
  ControllerFiles,
  Draws,
  Grab,
  HeldCommands,
  Report,
  Rollout,
  RolloutSpec,
  SceneFiles,
} from "./protocol";

/** The part of a Worker that is used. */
export type WorkerPort = Pick<Worker, "postMessage" | "terminate" | "addEventListener">;

type Handlers = {
  readonly [Type in Report["type"]]?: (report: Extract<Report, { type: Type }>) => void;
};

export interface PlayerClientOptions {
  /** Told of every report but those on rollouts, which answer their own call. */
  readonly on: Handlers;
  /** Told when the worker ended by itself, once; the client is of no use afterwards. */
  readonly onCrash: (error: PlayerError) => void;
  /** Folder from which files are read by digest, as an absolute path or URL; the gateway's if left out. */
  readonly artifacts?: string | undefined;
  readonly startWorker?: () => WorkerPort;
}

/** The page's side of the player: starts the worker, says what to do, passes on what it reports. */
export class PlayerClient {
  readonly #port: WorkerPort;
  readonly #handlers: Handlers;
  readonly #onCrash: (error: PlayerError) => void;
  readonly #rollouts = new Map<number, { resolve: (rollout: Rollout) => void; reject: (error: PlayerError) => void }>();
  #generation = 0;
  readonly #sceneGenerations = new Map<number, number>();
  #ended = false;

  constructor({ on, onCrash, artifacts = GATEWAY_FOLDER, startWorker = playerWorker }: PlayerClientOptions) {
    this.#handlers = on;
    this.#onCrash = onCrash;
    this.#port = startWorker();
    this.#port.addEventListener("message", (event) => this.#receive((event as MessageEvent<Report>).data));
    this.#port.addEventListener("error", (event) => {
      event.preventDefault();
      this.#crash((event as ErrorEvent).message || "its script did not load");
    });
    this.#port.addEventListener("messageerror", () => this.#crash("a message could not be read"));
    this.#tell({ type: "start", artifacts });
  }

  /** How many robots there are from now on; one from the start. */
  setLanes(lanes: number): void {
    for (const lane of this.#sceneGenerations.keys()) if (lane >= lanes) this.#sceneGenerations.delete(lane);
    this.#tell({ type: "setLanes", lanes });
  }

  /** Replaces the scene of a lane. A report on an earlier scene is dropped from here on. */
  loadScene(scene: SceneFiles, lane = 0): void {
    const generation = this.#nextGeneration();
    this.#sceneGenerations.set(lane, generation);
    this.#tell({ type: "loadScene", lane, generation, scene });
  }

  /** Lets another controller drive from the next tick on, or none. The last one asked for wins. */
  setController(controller: ControllerFiles | null, lane = 0): void {
    this.#tell({ type: "setController", lane, generation: this.#nextGeneration(), controller });
  }

  /** Holds carry entries at values; null leaves them to the environment. */
  setCommands(commands: HeldCommands | null, lane = 0): void {
    this.#tell({ type: "setCommands", lane, commands });
  }

  setPlaying(playing: boolean): void {
    this.#tell({ type: "setPlaying", playing });
  }

  setSpeed(speed: number): void {
    this.#tell({ type: "setSpeed", speed });
  }

  setDraws(draws: Draws): void {
    this.#tell({ type: "setDraws", draws });
  }

  setContacts(contacts: boolean): void {
    this.#tell({ type: "setContacts", contacts });
  }

  /** Pulls at the robot of a lane, and at the others in the same way; null lets go. */
  grab(grab: Grab | null, lane = 0): void {
    this.#tell({ type: "grab", lane, grab });
  }

  /** Gives all robots about this speed, in metres per second, each in its lane's direction. */
  shove(directions: readonly (readonly [number, number, number])[], speed: number): void {
    this.#tell({ type: "shove", directions, speed });
  }

  setJoint(qposIndex: number, value: number, lane = 0): void {
    this.#tell({ type: "setJoint", lane, qposIndex, value });
  }

  setCtrl(values: readonly number[] | null, lane = 0): void {
    this.#tell({ type: "setCtrl", lane, values });
  }

  reset(): void {
    this.#tell({ type: "reset" });
  }

  step(): void {
    this.#tell({ type: "step" });
  }

  /** Gives a snapshot's buffer back to the worker; the array is empty afterwards. */
  recycle(poses: Float32Array<ArrayBuffer>, lane = 0): void {
    this.#tell({ type: "recycle", lane, poses }, [poses.buffer]);
  }

  /**
   * Plays a fixed course of events beside what is on screen.
   *
   * @throws PlayerError
   */
  rollOut(spec: RolloutSpec): Promise<Rollout> {
    const id = this.#nextGeneration();
    return new Promise((resolve, reject) => {
      this.#rollouts.set(id, { resolve, reject });
      this.#tell({ type: "rollout", id, spec });
    });
  }

  dispose(): void {
    this.#end(new PlayerError("WORKER_CRASHED", "The player was closed."));
  }

  #nextGeneration(): number {
    this.#generation += 1;
    return this.#generation;
  }

  #tell(command: Command, transfer: Transferable[] = []): void {
    if (!this.#ended) this.#port.postMessage(command, transfer);
  }

  #receive(report: Report): void {
    if (this.#ended) return;
    switch (report.type) {
      case "rolledOut":
        this.#takeRollout(report.id)?.resolve(report.rollout);
        return;
      case "rolloutFailed":
        this.#takeRollout(report.id)?.reject(PlayerError.fromFault(report.fault));
        return;
      case "snapshot":
      case "sceneReady":
        if (report.generation !== this.#sceneGenerations.get(report.lane)) return;
    }
    (this.#handlers[report.type] as ((report: Report) => void) | undefined)?.(report);
  }

  #takeRollout(id: number) {
    const waiting = this.#rollouts.get(id);
    this.#rollouts.delete(id);
    return waiting;
  }

  #crash(reason: string): void {
    if (this.#ended) return;
    const error = new PlayerError("WORKER_CRASHED", `The simulation stopped: ${reason}. It can be started again.`);
    this.#end(error);
    this.#onCrash(error);
  }

  #end(error: PlayerError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#port.terminate();
    for (const { reject } of this.#rollouts.values()) reject(error);
    this.#rollouts.clear();
  }
}
