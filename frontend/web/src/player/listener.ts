import type { PlayerError } from "./errors";
import type { ActuatorSpec, CommandSpec, JointSpec, ModelSizes, PlayerTick } from "./protocol";

export interface ReadyInfo {
  readonly environmentId: string;
  readonly sizes: ModelSizes;
  /** The joints that one number moves. */
  readonly joints: readonly JointSpec[];
  readonly actuators: readonly ActuatorSpec[];
  /** Triangles that the robot and its scene are drawn with at the default distance. */
  readonly triangles: number;
  readonly loadSecs: number;
}

export interface PolicyInfo {
  /** SHA-256 of the graph that drives from now on; empty when none does. */
  readonly controllerSha256: string;
  /** What the robot can be told. */
  readonly commands: readonly CommandSpec[];
  readonly loadSecs: number;
}

export interface StageListener {
  readonly onTick?: ((tick: PlayerTick) => void) | undefined;
  /** The scene is loaded and on stage. */
  readonly onReady?: ((info: ReadyInfo) => void) | undefined;
  /** The controller that was asked for drives. */
  readonly onPolicy?: ((info: PolicyInfo) => void) | undefined;
  /** Nothing moves any more: the scene, the worker or the drawing failed. */
  readonly onError?: ((error: PlayerError) => void) | undefined;
  /** A controller could not be loaded or failed at a tick, or cannot be told something; the robot goes on without it or as before. */
  readonly onPolicyError?: ((error: PlayerError) => void) | undefined;
}
