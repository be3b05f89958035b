import { Fragment, type ReactNode, type Ref, useImperativeHandle, useRef } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import {
  type PolicyInfo as BarePolicyInfo,
  type PlayerError,
  type PlayerTick,
  type ReadyInfo,
  RobotStage,
  type RobotStageHandle,
} from "../player";
import type { CommandSpec } from "../player/protocol";

export type { CommandSpec, PlayerTick };
export type PolicyInfo = BarePolicyInfo & { readonly commands: readonly CommandSpec[] };

export interface SideBySideHandle {
  reset(): void;
  stepOnce(): void;
  shove(direction: readonly [number, number, number], speed: number): void;
  picture(): Promise<Blob>;
  record(): { stop(): Promise<Blob> };
  resetCamera(): void;
}

export interface SideBySideProps {
  readonly lanes: readonly { readonly bundle: SceneBundle; readonly policy: Policy | null }[];
  readonly playing: boolean;
  readonly speed?: number;
  readonly episode?: number;
  readonly contacts?: boolean;
  readonly commands?: Readonly<Record<string, readonly number[]>> | null;
  readonly onTick?: (lane: number, tick: PlayerTick) => void;
  readonly onReady?: (lane: number, info: ReadyInfo) => void;
  readonly onPolicy?: (lane: number, info: PolicyInfo) => void;
  readonly onPolicyError?: (lane: number, error: PlayerError) => void;
  readonly onError?: (error: PlayerError) => void;
  readonly renderLane: (lane: number, stage: ReactNode) => ReactNode;
  readonly ref?: Ref<SideBySideHandle>;
}

/** Stages beside each other, each with a worker and a clock of its own. */
export function SideBySide(props: SideBySideProps) {
  const stages = useRef<(RobotStageHandle | null)[]>([]);
  const each = (act: (stage: RobotStageHandle) => void) => {
    for (const stage of stages.current) if (stage) act(stage);
  };
  useImperativeHandle(props.ref, () => ({
    reset: () => each((stage) => stage.reset()),
    stepOnce: () => each((stage) => stage.stepOnce()),
    shove: () => undefined,
    picture: () => Promise.reject(new Error("not here")),
    record: () => ({ stop: () => Promise.reject(new Error("not here")) }),
    resetCamera: () => each((stage) => stage.resetCamera()),
  }));
  return props.lanes.map(({ bundle, policy }, lane) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: a lane is its place
    <Fragment key={lane}>
      {props.renderLane(
        lane,
        <RobotStage
          bundle={bundle}
          policy={policy}
          playing={props.playing}
          speed={props.speed ?? 1}
          episode={props.episode ?? 0}
          onTick={(tick) => props.onTick?.(lane, tick)}
          onReady={(info) => props.onReady?.(lane, info)}
          onPolicy={(info) => props.onPolicy?.(lane, { ...info, commands: [] })}
          onPolicyError={(error) => props.onPolicyError?.(lane, error)}
          onError={(error) => props.onError?.(error)}
          ref={(handle) => {
            stages.current[lane] = handle;
          }}
        />,
      )}
    </Fragment>
  ));
}
