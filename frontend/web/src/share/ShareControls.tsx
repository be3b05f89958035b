import type { StageAction } from "../studio/keys";
import { DriveTool, EpisodeTool, PlayTool, PushTool } from "../studio/StageTools";
import type { Playback } from "../studio/usePlayback";
import styles from "./ShareControls.module.css";

export const SHARE_SPEEDS = [0.25, 0.5, 1, 2];

/** What may be open beside the robot. */
export type ShareDrawer = "drive" | "push" | "";

interface ShareControlsProps {
  readonly playback: Playback;
  readonly onAction: (action: StageAction) => void;
  readonly drawer: ShareDrawer;
  readonly onDrawer: (drawer: ShareDrawer) => void;
  /** Whether the policy takes commands. */
  readonly drivable: boolean;
}

/** What a visitor can do to the robot, in one row over the foot of the stage. */
export function ShareControls({ playback, onAction, drawer, onDrawer, drivable }: ShareControlsProps) {
  const { playing, speed, setSpeed } = playback;
  const toggle = (which: ShareDrawer) => () => onDrawer(drawer === which ? "" : which);
  return (
    <div className={styles.controls}>
      <PlayTool playing={playing} onAction={onAction} />
      <EpisodeTool onAction={onAction} />
      <fieldset className={styles.speeds}>
        <legend className="hidden-visually">Speed</legend>
        {SHARE_SPEEDS.map((value) => (
          <button
            key={value}
            type="button"
            aria-pressed={speed === value}
            onClick={() => setSpeed(value)}
            data-testid={`speed-${value}`}
          >
            {value}×
          </button>
        ))}
      </fieldset>
      {drivable && <DriveTool open={drawer === "drive"} onToggle={toggle("drive")} />}
      <PushTool open={drawer === "push"} onToggle={toggle("push")} />
    </div>
  );
}
