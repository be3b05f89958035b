import { useState } from "react";
import { useSession } from "../app/session";
import { type Run, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Failure } from "../rpc/failure";
import { useCommand } from "../stores/commands";
import { Button } from "../ui/Button";
import { PauseIcon, PlayIcon, StopIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./RunControls.module.css";

type Doing = "pause" | "goOn" | "cancel";

/** Pauses, continues and stops a run that has not ended. Stopping says first what stays, for a stopped run cannot go on. */
export function RunControls({ run }: { readonly run: Run }) {
  const { runs } = useSession();
  const [doing, setDoing] = useState<Doing>();
  const [asking, setAsking] = useState(false);
  const [failed, setFailed] = useState<{ readonly what: Doing; readonly failure: Failure }>();
  const paused = run.state === RunState.PAUSED;
  const ofBatch = run.batchId !== "";

  async function act(what: Doing) {
    setDoing(what);
    setAsking(false);
    setFailed(undefined);
    try {
      await runs[what](run.runId);
    } catch (thrown) {
      setFailed({ what, failure: thrown as Failure });
    } finally {
      setDoing(undefined);
    }
  }

  const acting = (what: Doing) => () => void act(what);
  const group = "Training";
  useCommand(
    {
      id: "training.pause",
      title: paused ? "Continue training" : "Pause training",
      group,
      keywords: ["run", "resume"],
      run: acting(paused ? "goOn" : "pause"),
    },
    !ofBatch && doing === undefined,
  );
  // What cannot be undone is asked first, here as by the button.
  useCommand(
    {
      id: "training.stop",
      title: "Stop training",
      group,
      keywords: ["cancel", "run", "end"],
      run: () => setAsking(true),
    },
    doing === undefined,
  );
  return (
    <>
      <div className={styles.controls}>
        {!ofBatch && (
          <Button
            size="small"
            variant={paused ? "primary" : "secondary"}
            icon={paused ? <PlayIcon /> : <PauseIcon />}
            busy={doing === "pause" || doing === "goOn"}
            disabled={doing !== undefined}
            onClick={acting(paused ? "goOn" : "pause")}
            data-testid={paused ? "continue-run" : "pause-run"}
          >
            {paused ? "Continue" : "Pause"}
          </Button>
        )}
        <Button
          size="small"
          icon={<StopIcon />}
          busy={doing === "cancel"}
          disabled={doing !== undefined}
          aria-expanded={asking}
          onClick={() => setAsking(!asking)}
          data-testid="cancel-run"
        >
          Stop
        </Button>
      </div>
      {asking && (
        <div className={styles.wide}>
          <Notice tone="info" title="Stop for good?" testId="stop-question">
            <p>
              {run.checkpoints.length > 0
                ? "What it has learnt so far stays: its policies can be played and trained on from. The run itself cannot go on."
                : "It has learnt nothing yet that could be kept, and the run cannot go on."}
              {!ofBatch && !paused && " To go on later, pause it instead."}
            </p>
            <div className={styles.answers}>
              <Button size="small" variant="primary" onClick={acting("cancel")} data-testid="confirm-cancel-run">
                Stop for good
              </Button>
              <Button size="small" variant="quiet" onClick={() => setAsking(false)}>
                Let it train
              </Button>
            </div>
          </Notice>
        </div>
      )}
      {failed && (
        <div className={styles.wide}>
          <FailureNotice failure={failed.failure} onRetry={acting(failed.what)} />
        </div>
      )}
    </>
  );
}
