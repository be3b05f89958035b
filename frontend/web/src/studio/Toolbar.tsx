import {
  CameraHomeIcon,
  DriveIcon,
  MoreIcon,
  PauseIcon,
  PlayIcon,
  PoseIcon,
  PushIcon,
  RestartIcon,
  StepIcon,
} from "../ui/icons";
import { SHORTCUTS, type StageAction } from "./keys";
import { StageMenu, type StageMenuProps } from "./StageMenu";
import { ToolButton } from "./ToolButton";
import styles from "./Toolbar.module.css";
import { SPEEDS } from "./usePlayback";

/** What may be open beside the robot. */
export type Drawer = "drive" | "push" | "pose" | "menu" | "";

interface ToolbarProps extends Omit<StageMenuProps, "onClose"> {
  readonly drawer: Drawer;
  /** Whether the policy takes commands. */
  readonly drivable: boolean;
  readonly ready: boolean;
  readonly onDrawer: (drawer: Drawer) => void;
  readonly onAction: (action: StageAction) => void;
}

/** Everything that can be done to the robot on stage, in one row. */
export function Toolbar({ drawer, drivable, onDrawer, ...menu }: ToolbarProps) {
  const { playback, ready, onAction } = menu;
  const { playing, speed } = playback;
  const toggle = (which: Drawer) => () => onDrawer(drawer === which ? "" : which);
  return (
    <section className={styles.bar} aria-label="Playing">
      <div className={styles.group}>
        <ToolButton
          icon={playing ? <PauseIcon /> : <PlayIcon />}
          label={playing ? "Pause" : "Play"}
          shortcut={SHORTCUTS.play}
          testId="play-pause"
          onClick={() => onAction("play")}
        />
        <ToolButton
          icon={<StepIcon />}
          label={playing ? "One step (pauses)" : "One step"}
          shortcut={SHORTCUTS.step}
          disabled={!ready}
          roomy
          testId="step-once"
          onClick={() => onAction("step")}
        />
        <ToolButton
          icon={<RestartIcon />}
          label="New episode"
          shortcut={SHORTCUTS.episode}
          testId="reset"
          onClick={() => onAction("episode")}
        />
        <label className={styles.speed} data-slow={speed < 1 || undefined}>
          <span className="hidden-visually">Speed</span>
          <select
            value={speed}
            title={`Speed (${SHORTCUTS.slower} and ${SHORTCUTS.faster})`}
            onChange={(event) => playback.setSpeed(Number(event.target.value))}
            data-testid="speed"
          >
            {SPEEDS.map((value) => (
              <option key={value} value={value}>
                {value}×
              </option>
            ))}
          </select>
        </label>
      </div>
      <div className={styles.group}>
        {drivable && (
          <ToolButton
            icon={<DriveIcon />}
            label="Steer"
            expanded={drawer === "drive"}
            testId="open-drive"
            onClick={toggle("drive")}
          />
        )}
        <ToolButton
          icon={<PushIcon />}
          label="Push"
          expanded={drawer === "push"}
          testId="open-push"
          onClick={toggle("push")}
        />
        <ToolButton
          icon={<PoseIcon />}
          label="Joints and motors"
          expanded={drawer === "pose"}
          testId="open-pose"
          onClick={toggle("pose")}
        />
      </div>
      <div className={styles.group}>
        <ToolButton
          icon={<CameraHomeIcon />}
          label="First view"
          shortcut={SHORTCUTS.camera}
          roomy
          testId="camera-home"
          onClick={() => onAction("camera")}
        />
        <ToolButton
          icon={<MoreIcon />}
          label="More"
          expanded={drawer === "menu"}
          testId="open-menu"
          onClick={toggle("menu")}
        />
      </div>
      {drawer === "menu" && <StageMenu {...menu} onClose={() => onDrawer("")} />}
    </section>
  );
}
