import { formatEstimate, upperFirst } from "../format/format";
import { Executor, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { hasEnded, playable, type RunRecord } from "../stores/runRecord";
import { remainingSecs } from "./remaining";

/**
 * How a run stands, in a sentence or two. `following` says whether the page chooses which policy drives the robot, `connected` whether news
 * of the run can come at all.
 */
export function statement(record: RunRecord, following: boolean, connected: boolean): string {
  const { run } = record;
  if (!connected && !hasEnded(run.state)) return "No news of it at the moment; reconnecting.";
  switch (run.state) {
    case RunState.QUEUED:
      return run.spec?.compute?.executor === Executor.MODAL ? "Waits for a rented GPU." : "Waits for its turn.";
    case RunState.STARTING:
      return run.metrics
        ? "Getting ready to go on from the newest checkpoint."
        : "Loading the robot and compiling the learner. Practice starts in a moment.";
    case RunState.RUNNING: {
      const left = remainingSecs(record, performance.now());
      if (left !== undefined) return `${upperFirst(formatEstimate(left))} to go.`;
      return record.metricsAtMs === undefined ? "Practice has begun." : "Nothing has been heard of it for a while.";
    }
    case RunState.SUCCEEDED: {
      const last = run.checkpoints.find(({ final }) => final);
      const plays = following ? " The best policy drives the robot." : "";
      if (last?.policyId) return `Done.${plays}`;
      const published = playable(run).length > 0;
      if (!last?.refusal) return `Done. The last policy is not published yet.${published ? plays : ""}`;
      return published ? `Done, but the last policy was refused.${plays}` : "Done, but its policy was refused.";
    }
    case RunState.FAILED:
      return "Training ended early; checkpoints so far are kept.";
    case RunState.CANCELLED:
      return "Stopped by you; checkpoints so far are kept.";
    case RunState.PAUSED:
      return run.batchId
        ? "Paused, to be judged beside the others of its batch."
        : run.checkpoints.length > 0
          ? "Paused. It goes on from the newest checkpoint when you continue."
          : "Paused, before there was anything to keep. It begins anew when you continue.";
    default:
      return "";
  }
}
