import { useEffect, useRef, useState } from "react";
import { useSession } from "../app/session";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { useStore } from "../stores/store";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { bringIntoView } from "../ui/bringIntoView";
import { FailureNotice } from "../ui/Notice";
import { OtherGoal } from "./OtherGoal";
import { RunPanel } from "./RunPanel";
import { RunStatePill } from "./RunStatePill";
import { StartPanel } from "./StartPanel";
import { forAnotherGoal, sameGoal } from "./spec";
import styles from "./TrainStep.module.css";
import { useStart } from "./useStart";

interface TrainStepProps {
  readonly studio: StudioState;
  readonly highlighted: string;
}

/** Step 3: the ways to the behaviour and what each would take, the start, and the run as it happens. */
export function TrainStep({ studio, highlighted }: TrainStepProps) {
  const { navigation, runs, startingPoints } = useSession();
  const place = useStore(navigation.place);
  const start = useStart(studio);
  const [unfolded, setUnfolded] = useState(false);
  const panel = useRef<HTMLDivElement>(null);
  const { environmentId, goal, run, runFailure, running } = studio;
  const trained = run?.run.state === RunState.SUCCEEDED;

  // While a run trains just this, there is nothing to start; another goal may be queued behind it.
  const same = sameGoal(start.wholeSpec, run?.run.spec);
  const offered = goal.kind !== "none" && (!running || !same || start.asked);
  const repeated = same && !running;
  const other = forAnotherGoal(goal, run?.run.spec);
  const state = trained && !other ? "done" : run || offered ? "now" : "later";

  // What was trained meanwhile is something to start from.
  const bestPolicyId = studio.bestPolicyId;
  useEffect(() => {
    if (bestPolicyId) startingPoints.reload(environmentId);
  }, [startingPoints, environmentId, bestPolicyId]);

  // A new run folds the way to yet another one away.
  const runId = run?.run.runId;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another run is what triggers it
  useEffect(() => setUnfolded(false), [runId]);

  // Who comes to a run that has failed, or is not there, is shown that first; who watched it fail is left where they are.
  const watched = useRef("");
  if (running && runId) watched.current = runId;
  // Its reward, which stands above it, would push it out of view again.
  const complete = goal.kind !== "none";
  const failedBefore = complete && run?.run.state === RunState.FAILED && watched.current !== runId;
  const trouble = runFailure ? "missing" : failedBefore ? "failed" : "";
  // A step comes into view for what changes once it is drawn.
  const [troubled, setTroubled] = useState("");
  useEffect(() => setTroubled(trouble), [trouble]);

  function fineTuneFrom(policyId: string) {
    start.change({ tier: "fine-tune", startFrom: policyId });
    setUnfolded(true);
    requestAnimationFrame(() => bringIntoView(panel.current));
  }

  const starting = <StartPanel studio={studio} start={start} again={run !== undefined && !other} />;
  return (
    <Step
      reveal={troubled || start.started}
      number={3}
      title="Train"
      state={state}
      intro="Many copies of the robot practise at once. Every so often the newest policy, the part that decides how to move, takes over the robot on the stage."
      aside={run && <RunStatePill state={run.run.state} testId="run-state" />}
    >
      {runFailure && (
        <FailureNotice
          failure={runFailure}
          {...(runFailure.reason === "RUN_NOT_FOUND"
            ? { wayOn: { label: "Go on without it", take: () => navigation.refine({ runId: "" }) } }
            : { onDismiss: () => runs.dismiss(place.runId) })}
        />
      )}
      {run && other && <OtherGoal run={run.run} />}
      {run && <RunPanel record={run} studio={studio} highlighted={highlighted} onFineTune={fineTuneFrom} />}
      {offered && (
        <div ref={panel}>
          {repeated ? (
            <details
              className={styles.again}
              open={unfolded}
              onToggle={(event) => setUnfolded(event.currentTarget.open)}
            >
              <summary>Train it again</summary>
              {starting}
            </details>
          ) : (
            starting
          )}
        </div>
      )}
    </Step>
  );
}
