import { type RefObject, useEffect, useRef } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { controllerFilesOf, sceneFilesOf } from "./files";
import type { StageListener } from "./listener";
import type { PlayerSession } from "./playerSession";
import type { HeldCommands } from "./protocol";
import type { Theme } from "./stage/stage";
import { useTheme } from "./useTheme";

interface StageLaneProps extends StageListener {
  readonly session: RefObject<PlayerSession | null>;
  readonly lane: number;
  readonly bundle: SceneBundle;
  readonly policy: Policy | null;
  readonly commands: HeldCommands | null;
  readonly theme?: Theme | undefined;
  readonly label?: string | undefined;
}

/** Where one robot of a session is drawn: the whole of its parent, which must be positioned and have a size. */
export function StageLane(props: StageLaneProps) {
  const { session, lane, bundle, policy, label } = props;
  const theme = useTheme(props.theme);
  const container = useRef<HTMLDivElement>(null);
  const latest = useRef({ props, theme });
  latest.current = { props, theme };

  // The drawing context lives as long as the element; everything else is told to it.
  useEffect(() => {
    const current = session.current;
    if (!container.current || !current) return;
    current.attach(lane, container.current, latest.current.theme, latest.current.props);
    return () => current.detach(lane);
  }, [session, lane]);

  useEffect(() => session.current?.listen(lane, props));
  useEffect(() => session.current?.setTheme(theme), [session, theme]);

  // Messages that name the same files ask for nothing new, so the effects depend on the names.
  const scene = JSON.stringify(sceneFilesOf(bundle));
  const controller = JSON.stringify(controllerFilesOf(policy, bundle));
  const commands = JSON.stringify(props.commands);
  useEffect(() => session.current?.loadScene(lane, JSON.parse(scene)), [session, lane, scene]);
  // Before the controller: it is to obey from its first tick on.
  useEffect(() => session.current?.setCommands(lane, JSON.parse(commands)), [session, lane, commands]);
  // A new scene starts without a controller, so the controller is named again after it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  useEffect(() => session.current?.setController(lane, JSON.parse(controller)), [session, lane, controller, scene]);

  return (
    <div
      ref={container}
      role="img"
      aria-label={label ?? `The robot of ${bundle.environmentId}`}
      style={{ position: "absolute", inset: 0, overflow: "hidden" }}
    />
  );
}
