import { DriveIcon, PauseIcon, PlayIcon, PushIcon, RestartIcon } from "../ui/icons";
import { SHORTCUTS, type StageAction } from "./keys";
import { ToolButton } from "./ToolButton";

interface TimeToolsProps {
  readonly onAction: (action: StageAction) => void;
}

/** Lets time pass for the robot, or stops it. */
export function PlayTool({ playing, onAction }: TimeToolsProps & { readonly playing: boolean }) {
  return (
    <ToolButton
      icon={playing ? <PauseIcon /> : <PlayIcon />}
      label={playing ? "Pause" : "Play"}
      shortcut={SHORTCUTS.play}
      testId="play-pause"
      onClick={() => onAction("play")}
    />
  );
}

/** Starts an episode. */
export function EpisodeTool({ onAction }: TimeToolsProps) {
  return (
    <ToolButton
      icon={<RestartIcon />}
      label="New episode"
      shortcut={SHORTCUTS.episode}
      testId="reset"
      onClick={() => onAction("episode")}
    />
  );
}

interface DrawerToolProps {
  readonly open: boolean;
  readonly onToggle: () => void;
}

/** Opens what steers the robot. */
export function DriveTool({ open, onToggle }: DrawerToolProps) {
  return <ToolButton icon={<DriveIcon />} label="Steer" expanded={open} testId="open-drive" onClick={onToggle} />;
}

/** Opens what pushes the robot. */
export function PushTool({ open, onToggle }: DrawerToolProps) {
  return <ToolButton icon={<PushIcon />} label="Push" expanded={open} testId="open-push" onClick={onToggle} />;
}
