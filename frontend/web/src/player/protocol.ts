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
    };

/** What a rollout recorded: the state after each row of `ctrls` or each tick. */
export interface Rollout {
  readonly qpos: readonly (readonly number[])[];
  readonly qvel: readonly (readonly number[])[];
  /** Only for `controller`: what was written to `mjData.ctrl` at each tick. */
  readonly ctrl: readonly (readonly number[])[];
  /** Only for `controller`: the reward each tick reported. */
  readonly reward: readonly number[];
  /** Wall-clock time of all steps, in milliseconds. */
  readonly wallMs: number;
}

/** What the page tells the worker. */
export type Command =
  /** Comes first: the folder from which files are read by digest, as an absolute path or URL. */
  | { readonly type: "start"; readonly artifacts: string }
  | { readonly type: "loadScene"; readonly generation: number; readonly scene: SceneFiles }
  | { readonly type: "setController"; readonly generation: number; readonly controller: ControllerFiles | null }
  | { readonly type: "setPlaying"; readonly playing: boolean }
  | { readonly type: "setSpeed"; readonly speed: number }
  | { readonly type: "setDraws"; readonly draws: Draws }
  | { readonly type: "reset" }
  | { readonly type: "step" }
  /** Gives a snapshot's buffer back; the worker owns a fixed ring of them. */
  | { readonly type: "recycle"; readonly poses: Float32Array<ArrayBuffer> }
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
  readonly qpos: Float64Array;
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
      readonly generation: number;
      readonly description: SceneDescription;
      readonly sizes: ModelSizes;
      readonly loadSecs: number;
    }
  | {
      readonly type: "controllerReady";
      readonly generation: number;
      /** Null when the controller was taken away. */
      readonly controllerSha256: string | null;
      readonly loadSecs: number;
    }
  | {
      readonly type: "snapshot";
      /** Generation of the scene it shows. */
      readonly generation: number;
      readonly tick: PlayerTick;
      /** Poses by {@link SnapshotLayout}; to be given back with `recycle`. */
      readonly poses: Float32Array<ArrayBuffer>;
      /** When it was due, on the worker's clock, in milliseconds. */
      readonly dueMs: number;
    }
  | { readonly type: "rolledOut"; readonly id: number; readonly rollout: Rollout }
  | { readonly type: "rolloutFailed"; readonly id: number; readonly fault: PlayerFault }
  | { readonly type: "failed"; readonly doing: "scene" | "controller" | "playing"; readonly fault: PlayerFault };
