import { Link } from "../app/Link";
import { SideBySideIcon, StopIcon } from "../ui/icons";
import { PolicyStatus } from "./PolicyStatus";
import { StageFacts } from "./StageFacts";
import styles from "./StageHead.module.css";
import type { PlayerState } from "./usePlayer";
import type { Recording } from "./useRecording";
import type { StudioState } from "./useStudio";

interface StageHeadProps {
  readonly studio: StudioState;
  readonly player: PlayerState;
  readonly speed: number;
  /** The policy that is to drive; empty for none. */
  readonly driverId: string;
  readonly byHand: boolean;
  readonly recording: Recording;
}

/** Along the top of the stage: what drives the robot, the video that is being recorded, and the way to compare. */
export function StageHead({ studio, player, speed, driverId, byHand, recording }: StageHeadProps) {
  return (
    <div className={styles.head}>
      <div className={styles.state}>
        <PolicyStatus
          studio={studio}
          drivingSha256={player.ready && !player.error ? (player.info?.controllerSha256 ?? "") : ""}
          problem={player.policyProblem}
          byHand={byHand}
        />
        <StageFacts
          facts={player.facts}
          speed={speed}
          falls={studio.environment.value?.summary?.category === "locomotion"}
        />
      </div>
      <div className={styles.ways}>
        {recording.running && (
          <button type="button" className={styles.recording} onClick={recording.stop} data-testid="stop-recording">
            <span className={styles.red} aria-hidden="true" />
            <span className="number">{clock(recording.elapsedSecs)}</span>
            <StopIcon />
            <span className="hidden-visually">Stop recording and save the video</span>
          </button>
        )}
        {driverId && (
          <Link
            to={{ view: "compare", compared: comparedWith(studio, driverId) }}
            className={styles.compare}
            aria-label="Compare this policy with others"
            data-testid="compare"
          >
            <SideBySideIcon />
            <span>Compare</span>
          </Link>
        )}
      </div>
    </div>
  );
}

/** The policy that drives, and beside it the best of its run, or the first when it is the best. */
function comparedWith({ bestPolicyId, checkpoints }: StudioState, driverId: string): string {
  const others = [bestPolicyId, checkpoints[0]?.policyId ?? "", checkpoints.at(-1)?.policyId ?? ""];
  const other = others.find((policyId) => policyId !== "" && policyId !== driverId);
  return other ? `${driverId},${other}` : driverId;
}

function clock(secs: number): string {
  return `${Math.floor(secs / 60)}:${String(secs % 60).padStart(2, "0")}`;
}
