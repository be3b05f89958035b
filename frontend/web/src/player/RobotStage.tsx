import { type Ref, useImperativeHandle } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { notThere } from "./errors";
import type { StageListener } from "./listener";
import type { HeldCommands } from "./protocol";
import { StageLane } from "./StageLane";
import type { Theme } from "./stage/stage";
import { usePlayerSession } from "./usePlayerSession";

export interface RobotStageHandle {
  /** Starts a new episode. */
  reset(): void;
  /** Takes one tick, also while paused. */
  stepOnce(): void;
  /** Pushes the robot once: it gains about `speed` metres per second within a tenth of a second. */
  shove(direction: readonly [number, number, number], speed: number): void;
  /** Moves one joint and nothing else; no time passes. Whoever calls has paused before. */
  setJoint(qposIndex: number, value: number): void;
  /** Drives a robot without a policy by hand; null gives it back to its idle motion. */
  setCtrl(values: readonly number[] | null): void;
  /** Goes back to the first view. */
  resetCamera(): void;
  /** A PNG of what is on screen. */
  picture(): Promise<Blob>;
  /** Records a WebM of what is on screen until it is stopped. @throws PlayerError RECORDING_UNSUPPORTED */
  record(): { stop(): Promise<Blob> };
}

export interface RobotStageProps extends StageListener {
  readonly bundle: SceneBundle;
  /** Folder from which files are read by digest, as an absolute path or URL; the gateway's if left out. Only the first one counts. */
  readonly artifacts?: string;
  /** What drives; a new one takes over at the next tick. Null for none; one for another environment is none. */
  readonly policy?: Policy | null;
  readonly playing: boolean;
  /** Simulated per real time. */
  readonly speed?: number;
  /** Whether the controller's random inputs are really drawn; without, the environment's noise is off. */
  readonly noise?: boolean;
  /** When it changes, a new episode starts. */
  readonly episode?: number;
  /** Whether contact forces are drawn. */
  readonly contacts?: boolean;
  /** Whether dragging on the robot pulls it; elsewhere, and without, dragging turns the view. */
  readonly grab?: boolean;
  /** Carry entries that are held at values; null leaves them to the environment. */
  readonly commands?: HeldCommands | null;
  /** Default: what the system prefers, or what `data-theme` of the document says. */
  readonly theme?: Theme;
  /** What a screen reader calls the picture. */
  readonly label?: string;
  readonly ref?: Ref<RobotStageHandle>;
}

/** The robot, simulated in a worker and drawn into the whole of its parent, which must be positioned and have a size. */
export function RobotStage({ ref, policy = null, commands = null, ...props }: RobotStageProps) {
  const session = usePlayerSession({ ...props, lanes: 1 });

  useImperativeHandle(ref, () => ({
    reset: () => session.current?.reset(),
    stepOnce: () => session.current?.stepOnce(),
    shove: (direction, speed) => session.current?.shove([direction], speed),
    setJoint: (qposIndex, value) => session.current?.setJoint(0, qposIndex, value),
    setCtrl: (values) => session.current?.setCtrl(0, values),
    resetCamera: () => session.current?.resetCamera(),
    picture: () => session.current?.picture() ?? Promise.reject(notThere()),
    record: () => {
      if (!session.current) throw notThere();
      return session.current.record();
    },
  }));

  return <StageLane {...props} session={session} lane={0} policy={policy} commands={commands} />;
}
