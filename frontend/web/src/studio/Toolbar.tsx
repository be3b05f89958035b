import { CameraHomeIcon, MoreIcon, PoseIcon, StepIcon } from "../ui/icons";
import { SHORTCUTS, type StageAction } from "./keys";
import { SpeedChoice } from "./SpeedChoice";
import { StageMenu, type StageMenuProps } from "./StageMenu";
import { DriveTool, EpisodeTool, PlayTool, PushTool } from "./StageTools";
import { ToolButton } from "./ToolButton";
import styles from "./Toolbar.module.css";

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
  const { playing } = playback;
  const toggle = (which: Drawer) => () => onDrawer(drawer === which ? "" : which);
  return (
    <section className={styles.bar} aria-label="Playing">
      <div className={styles.group}>
        <PlayTool playing={playing} onAction={onAction} />
        <ToolButton
          icon={<StepIcon />}
          label={playing ? "One step (pauses)" : "One step"}
          shortcut={SHORTCUTS.step}
          disabled={!ready}
          roomy
          testId="step-once"
          onClick={() => onAction("step")}
        />
        <EpisodeTool onAction={onAction} />
        <SpeedChoice playback={playback} className={styles.speed} testId="speed" />
      </div>
      <div className={styles.group}>
        {drivable && <DriveTool open={drawer === "drive"} onToggle={toggle("drive")} />}
        <PushTool open={drawer === "push"} onToggle={toggle("push")} />
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
