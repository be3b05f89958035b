import { useState } from "react";
import { useSession } from "../app/session";
import { ImprovePanel } from "../reward/ImprovePanel";
import type { RunRecord } from "../stores/runRecord";
import { useStore } from "../stores/store";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import { ArrowIcon, DeleteIcon, WandIcon } from "../ui/icons";
import styles from "./RunOutcome.module.css";
import { useDeleteRun } from "./useDeleteRun";

interface RunOutcomeProps {
  readonly record: RunRecord;
  readonly studio: StudioState;
  readonly onFineTune: (policyId: string) => void;
}

/** Where to go from a run that has ended: train on from it, write a better reward after it, or delete it. */
export function RunOutcome({ record: { run }, studio, onFineTune }: RunOutcomeProps) {
  const { improver } = useSession();
  const improvement = useStore(improver.store);
  const deleteRun = useDeleteRun();
  const { goal, policyId } = studio;
  const reward =
    goal.kind === "reward" && goal.reward.rewardId === run.spec?.reward?.rewardId ? goal.reward : undefined;
  const improving = improvement.runId === run.runId && improvement.status !== "idle";
  const [asking, setAsking] = useState(false);
  const from = run.checkpoints.some((checkpoint) => checkpoint.policyId === policyId) ? policyId : "";
  return (
    <>
      <div className={styles.row}>
        {from && (
          <Button size="small" icon={<ArrowIcon />} onClick={() => onFineTune(from)} data-testid="fine-tune-here">
            Fine-tune from here
          </Button>
        )}
        {reward && (
          <Button
            size="small"
            icon={<WandIcon />}
            aria-expanded={asking || improving}
            onClick={() => setAsking(!asking)}
            data-testid="improve"
          >
            Improve it
          </Button>
        )}
        <Button
          size="small"
          variant="quiet"
          className={styles.last}
          icon={<DeleteIcon />}
          onClick={() => deleteRun(run)}
          data-testid="delete-run"
        >
          Delete the run
        </Button>
      </div>
      {reward && (asking || improving) && (
        <ImprovePanel studio={studio} runId={run.runId} before={reward} onClose={() => setAsking(false)} />
      )}
    </>
  );
}
