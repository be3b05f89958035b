import { type Ref, useEffect, useImperativeHandle, useRef } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { controllerFilesOf, sceneFilesOf } from "./files";
import type { Theme } from "./stage/stage";
import { type StageListener, StageSession } from "./stageSession";
import { useTheme } from "./useTheme";

export interface RobotStageHandle {
  /** Starts a new episode. */
  reset(): void;
  /** Takes one tick, also while paused. */
  stepOnce(): void;
  /** Goes back to the first view. */
  resetCamera(): void;
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
  /** Default: what the system prefers, or what `data-theme` of the document says. */
  readonly theme?: Theme;
  /** What a screen reader calls the picture. */
  readonly label?: string;
  readonly ref?: Ref<RobotStageHandle>;
}

/** The robot, simulated in a worker and drawn into the whole of its parent, which must be positioned and have a size. */
export function RobotStage(props: RobotStageProps) {
  const { bundle, policy = null, playing, speed = 1, noise = false, episode = 0, label } = props;
  const theme = useTheme(props.theme);
  const container = useRef<HTMLDivElement>(null);
  const session = useRef<StageSession>(null);
  const latest = useRef({ props, theme });
  latest.current = { props, theme };

  // The worker and the drawing context live as long as the element; everything else is told to them.
  useEffect(() => {
    if (!container.current) return;
    const current = latest.current;
    const made = new StageSession(container.current, current.theme, current.props, current.props.artifacts);
    session.current = made;
    return () => {
      session.current = null;
      made.dispose();
    };
  }, []);

  useEffect(() => session.current?.listen(props));
  useEffect(() => session.current?.setTheme(theme), [theme]);
  useEffect(() => session.current?.setSpeed(speed), [speed]);
  useEffect(() => session.current?.setNoise(noise), [noise]);
  useEffect(() => session.current?.setPlaying(playing), [playing]);

  // Messages that name the same files ask for nothing new, so the effects depend on the names.
  const scene = JSON.stringify(sceneFilesOf(bundle));
  const controller = JSON.stringify(controllerFilesOf(policy, bundle));
  useEffect(() => session.current?.loadScene(JSON.parse(scene)), [scene]);
  // A new scene starts without a controller, so the controller is named again after it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => session.current?.setController(JSON.parse(controller)), [controller, scene]);

  const firstEpisode = useRef(episode);
  useEffect(() => {
    if (episode === firstEpisode.current) return;
    firstEpisode.current = episode;
    session.current?.reset();
  }, [episode]);

  useImperativeHandle(props.ref, () => ({
    reset: () => session.current?.reset(),
    stepOnce: () => session.current?.stepOnce(),
    resetCamera: () => session.current?.resetCamera(),
  }));

  return (
    <div
      ref={container}
      role="img"
      aria-label={label ?? `The robot of ${bundle.environmentId}`}
      style={{ position: "absolute", inset: 0, overflow: "hidden" }}
    />
  );
}
