import type { PlayerFault } from "./errors";
import type { SceneDescription } from "./sceneDescription";

/** A file by digest, as `tabrl.type.v1.Artifact` names it. */
export interface FileRef {
  readonly sha256: string;
}

/** The files of a scene: the MJCF, and the others at the paths by which it names them. */
export interface SceneFiles {
  readonly environmentId: string;
  readonly xml: FileRef;
  readonly assets: readonly { readonly path: string; readonly file: FileRef }[];
}

/** The files of a controller. */
export interface ControllerFiles {
  readonly environmentId: string;
  readonly graph: FileRef;
  readonly manifest: FileRef;
}

/** A pull at the robot: a spring from a point on it to where the pointer is. */
export interface Grab {
  /** The geom that was seized. */
  readonly geom: number;
  /** The body it belongs to. */
  readonly body: number;
  /** The point that was seized, in the geom's own frame, in metres. */
  readonly point: readonly [number, number, number];
  /** Where it is pulled to, in the world's frame. */
  readonly target: readonly [number, number, number];
}

/** How the controller's random inputs are filled: with the values that stand for no noise, or with real draws. */
export type Draws = "none" | "random";

/** Carry entries by name, and the values at which they are held. */
export type HeldCommands = Readonly<Record<string, readonly number[]>>;

/** One number of a command, and the range that training drew it from. */
export interface CommandElement {
  readonly name: string;
  readonly unit: string;
  readonly low: number;
  readonly high: number;
}

/** A carry entry by which the robot is commanded. */
export interface CommandSpec {
  readonly field: string;
  readonly elements: readonly CommandElement[];
}

/** A joint that one number moves. */
export interface JointSpec {
  /** Empty when the model gives none. */
  readonly name: string;
  readonly kind: "hinge" | "slide";
  /** Where its number stands in `qpos`. */
  readonly qposIndex: number;
  /** Its range, in radians or metres; of no meaning unless `limited`. */
  readonly low: number;
  readonly high: number;
  readonly limited: boolean;
}

/** An actuator, in the order of `ctrl`. */
export interface ActuatorSpec {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly limited: boolean;
}

/**
 * What makes a rollout harder. What is left out stays as it is.
 */
export interface Disturbance {
  /** Every two seconds the robot is given this speed, in metres per second, in a direction of its own each time. */
  readonly pushSpeed?: number;
  /** Carried by the robot's first body, as a share of the robot's mass. */
  readonly payloadShare?: number;
  /** Factor on the friction of everything. */
  readonly friction?: number;
  /** Factor on the force of every actuator. */
  readonly strength?: number;
  /** Deviation of what the controller is told of positions and velocities, in their own units; the environment's own noise is on as well. */
  readonly sensorNoise?: number;
  /** Ticks by which what the controller decided comes late. */
  readonly delayTicks?: number;
}

/**
 * A fixed course of events in a simulation of its own, for measurements; what is on screen is not touched.
 * `physics` writes each row of `ctrls` and takes `stepsPerCtrl` physics steps; `controller` takes `ticks` control ticks from reset `reset`, fewer
 * where the environment ends the episode.
 */
export type RolloutSpec =
  | {
      readonly kind: "physics";
      readonly scene: SceneFiles;
      readonly qpos: readonly number[];
      readonly qvel: readonly number[];
      readonly ctrls: readonly (readonly number[])[];
      readonly stepsPerCtrl: number;
    }
  | {
      readonly kind: "controller";
      readonly controller: ControllerFiles;
      readonly reset: number;
      readonly ticks: number;
      readonly disturbance?: Disturbance;
      /** Seed of all that is drawn for the disturbance. */
      readonly seed?: number;
    };

/** What a rollout recorded: the state after each row of `ctrls` or each tick. */
export interface Rollout {
  readonly qpos: readonly (readonly number[])[];
  readonly qvel: readonly (readonly number[])[];
  /** Only for `controller`: what was written to `mjData.ctrl` at each tick. */
  readonly ctrl: readonly (readonly number[])[];
  /** Only for `controller`: the reward each tick reported. */
  readonly reward: readonly number[];
  /** Only for `controller`: how it ended before its ticks were over; empty when it did not. */
  readonly ended?: EndOfEpisode;
  /** Wall-clock time of all steps, in milliseconds. */
  readonly wallMs: number;
}

/** How an episode ended: `done` by the environment, as when the robot fell, `time` at its full length; empty while it has not. */
export type EndOfEpisode = "" | "done" | "time";

/** Most robots that play side by side. */
export const MOST_LANES = 4;

/**
 * What the page tells the worker. A lane is one robot: the worker has one from the start. Several play together: from the same
 * reset, and those whose episodes are over wait for the others.
 */
export type Command =
  /** Comes first: the folder from which files are read by digest, as an absolute path or URL. */
  | { readonly type: "start"; readonly artifacts: string }
  /** How many robots there are from now on; those beyond are cleared away. */
  | { readonly type: "setLanes"; readonly lanes: number }
  | { readonly type: "loadScene"; readonly lane: number; readonly generation: number; readonly scene: SceneFiles }
  | {
      readonly type: "setController";
      readonly lane: number;
      readonly generation: number;
      readonly controller: ControllerFiles | null;
    }
  /** Holds carry entries at values; null leaves them to the environment. */
  | { readonly type: "setCommands"; readonly lane: number; readonly commands: HeldCommands | null }
  | { readonly type: "setPlaying"; readonly playing: boolean }
  | { readonly type: "setSpeed"; readonly speed: number }
  | { readonly type: "setDraws"; readonly draws: Draws }
  /** Whether snapshots tell of contacts. */
  | { readonly type: "setContacts"; readonly contacts: boolean }
  /** Pulls at a lane's robot, and with the same force at those of the others; null lets go. */
  | { readonly type: "grab"; readonly lane: number; readonly grab: Grab | null }
  /** Gives all robots about this speed, in metres per second, within a tenth of a second; a lane without a direction takes the first. */
  | {
      readonly type: "shove";
      readonly directions: readonly (readonly [number, number, number])[];
      readonly speed: number;
    }
  /** Moves one joint and nothing else; no time passes. */
  | { readonly type: "setJoint"; readonly lane: number; readonly qposIndex: number; readonly value: number }
  /** What drives a robot without a controller; null for its idle motion. */
  | { readonly type: "setCtrl"; readonly lane: number; readonly values: readonly number[] | null }
  | { readonly type: "reset" }
  | { readonly type: "step" }
  /** Gives a snapshot's buffer back; the worker owns a fixed ring of them for each lane. */
  | { readonly type: "recycle"; readonly lane: number; readonly poses: Float32Array<ArrayBuffer> }
  | { readonly type: "rollout"; readonly id: number; readonly spec: RolloutSpec };

/** Where the robot is and how it does, as the page sees it. */
export interface PlayerTick {
  /** Time within the episode, in simulated seconds. */
  readonly timeSecs: number;
  /** Control steps taken in the episode. */
  readonly step: number;
  /** Counts the episodes since the scene was loaded, from 0. */
  readonly episode: number;
  /** Whether a controller drives; without one the robot moves passively and earns nothing. */
  readonly driven: boolean;
  /** SHA-256 of the graph that drives; empty without one. */
  readonly controllerSha256: string;
  /** Reward of the last control period. */
  readonly reward: number;
  /** Reward terms of the last control period, weights applied, in the manifest's order. */
  readonly terms: Readonly<Record<string, number>>;
  /** Sum of the rewards since the episode began. */
  readonly episodeReturn: number;
  /** Return of the last episode that ran to its end; absent before. */
  readonly lastEpisodeReturn: number | undefined;
  /** Simulated seconds per second, over the last second or so; 0 while paused. */
  readonly realTimeFactor: number;
  /** Generalized positions. */
  readonly qpos: Float64Array<ArrayBuffer>;
  /** What drives the actuators. */
  readonly ctrl: Float64Array<ArrayBuffer>;
  /** Whether the robot is being pulled. */
  readonly grabbed: boolean;
  /** How the episode ended that the robot is at the end of: it waits for the others. Empty while it plays. */
  readonly ended: EndOfEpisode;
}

/** Sizes of the loaded model. */
export interface ModelSizes {
  readonly nq: number;
  readonly nv: number;
  readonly nu: number;
  readonly nbody: number;
  readonly ngeom: number;
}

/** What the worker tells the page. `generation` is that of the command it answers. */
export type Report =
  | {
      readonly type: "sceneReady";
      readonly lane: number;
      readonly generation: number;
      readonly description: SceneDescription;
      readonly sizes: ModelSizes;
      readonly joints: readonly JointSpec[];
      readonly actuators: readonly ActuatorSpec[];
      readonly loadSecs: number;
    }
  | {
      readonly type: "controllerReady";
      readonly lane: number;
      readonly generation: number;
      /** Null when the controller was taken away. */
      readonly controllerSha256: string | null;
      readonly commands: readonly CommandSpec[];
      readonly loadSecs: number;
    }
  | {
      readonly type: "snapshot";
      readonly lane: number;
      /** Generation of the scene it shows. */
      readonly generation: number;
      readonly tick: PlayerTick;
      /** Poses by {@link SnapshotLayout}; to be given back with `recycle`. */
      readonly poses: Float32Array<ArrayBuffer>;
      /** Where things touch, six numbers each: the place and the force, in the world; absent when nobody asked. */
      readonly contacts?: Float32Array<ArrayBuffer>;
      /** When it was due, on the worker's clock, in milliseconds. */
      readonly dueMs: number;
    }
  | { readonly type: "rolledOut"; readonly id: number; readonly rollout: Rollout }
  | { readonly type: "rolloutFailed"; readonly id: number; readonly fault: PlayerFault }
  | { readonly type: "failed"; readonly lane: number; readonly doing: Doing; readonly fault: PlayerFault };

/** What was being done when something failed. */
export type Doing = "scene" | "controller" | "command" | "playing";
