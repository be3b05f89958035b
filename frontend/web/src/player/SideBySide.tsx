import { Fragment, type ReactNode, type Ref, useImperativeHandle, useState } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { notThere, type PlayerError } from "./errors";
import type { PolicyInfo, ReadyInfo } from "./listener";
import { type HeldCommands, MOST_LANES, type PlayerTick } from "./protocol";
import type { RobotStageHandle } from "./RobotStage";
import { StageLane } from "./StageLane";
import type { Theme } from "./stage/stage";
import { usePlayerSession } from "./usePlayerSession";

export interface SideBySideHandle extends Omit<RobotStageHandle, "setJoint" | "setCtrl" | "shove" | "record"> {
  /** Pushes all robots at the same time and as strongly, each in a direction of its own, in the order of the lanes. */
  shove(directions: readonly (readonly [number, number, number])[], speed: number): void;
  /** Records a WebM of all robots beside each other, with a label over each. @throws PlayerError RECORDING_UNSUPPORTED */
  record(labels?: readonly string[]): { stop(): Promise<Blob> };
}

export interface SideBySideProps {
  /** The robots, four at most. */
  readonly lanes: readonly { readonly bundle: SceneBundle; readonly policy: Policy | null }[];
  readonly artifacts?: string;
  readonly playing: boolean;
  readonly speed?: number;
  readonly noise?: boolean;
  readonly episode?: number;
  readonly contacts?: boolean;
  readonly grab?: boolean;
  /** Carry entries that are held, in each lane that knows them. */
  readonly commands?: HeldCommands | null;
  readonly theme?: Theme;
  readonly onTick?: (lane: number, tick: PlayerTick) => void;
  readonly onReady?: (lane: number, info: ReadyInfo) => void;
  readonly onPolicy?: (lane: number, info: PolicyInfo) => void;
  readonly onPolicyError?: (lane: number, error: PlayerError) => void;
  /** Nothing moves any more: a scene, the worker or the drawing failed. */
  readonly onError?: (error: PlayerError) => void;
  /** Puts a robot's stage into the page: into a parent that is positioned and has a size. */
  readonly renderLane: (lane: number, stage: ReactNode) => ReactNode;
  readonly ref?: Ref<SideBySideHandle>;
}

/**
 * Up to four robots in one worker, by one clock, from the same starts, under the same pulls, pushes and commands. One whose episode
 * is over waits for the others; its ticks say how it ended.
 */
export function SideBySide({ ref, lanes: given, commands = null, renderLane, ...props }: SideBySideProps) {
  const lanes = given.slice(0, MOST_LANES);
  const session = usePlayerSession({ ...props, lanes: lanes.length });
  // Each lane is only told what its policy knows; by controller, as lanes change places.
  const [known, setKnown] = useState<Readonly<Record<string, readonly string[]>>>({});

  useImperativeHandle(ref, () => ({
    reset: () => session.current?.reset(),
    stepOnce: () => session.current?.stepOnce(),
    shove: (directions, speed) => session.current?.shove(directions, speed),
    resetCamera: () => session.current?.resetCamera(),
    picture: () => session.current?.picture() ?? Promise.reject(notThere()),
    record: (labels) => {
      if (!session.current) throw notThere();
      return session.current.record(labels);
    },
  }));

  return lanes.map(({ bundle, policy }, lane) => {
    const fields = known[policy?.controller?.sha256 ?? ""] ?? [];
    const stage = (
      <StageLane
        session={session}
        lane={lane}
        bundle={bundle}
        policy={policy}
        commands={commands && withFields(commands, fields)}
        theme={props.theme}
        onTick={(tick) => props.onTick?.(lane, tick)}
        onReady={(info) => props.onReady?.(lane, info)}
        onPolicy={(info) => {
          const { controllerSha256, commands: specs } = info;
          setKnown((before) => ({ ...before, [controllerSha256]: specs.map(({ field }) => field) }));
          props.onPolicy?.(lane, info);
        }}
        onPolicyError={(error) => props.onPolicyError?.(lane, error)}
        onError={props.onError}
      />
    );
    // biome-ignore lint/suspicious/noArrayIndexKey: a lane is its place
    return <Fragment key={lane}>{renderLane(lane, stage)}</Fragment>;
  });
}

function withFields(commands: HeldCommands, fields: readonly string[]): HeldCommands {
  return Object.fromEntries(Object.entries(commands).filter(([field]) => fields.includes(field)));
}
