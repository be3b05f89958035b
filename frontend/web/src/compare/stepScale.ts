import type { Checkpoint } from "../gen/tabrl/trainer/v1/trainer_pb";

/** A lane as the shared slider sees it. */
export interface SteppedLane {
  readonly policyId: string;
  /** Run that its policy comes from; empty for none. */
  readonly runId: string;
  /** The run's policies by growing steps; empty while they are not known. */
  readonly checkpoints: readonly Checkpoint[];
}

/**
 * Whether each lane goes with the slider. Of several lanes of one run only the last does: the others stay as what it is compared
 * with, or all of them would play the same.
 */
export function followers(lanes: readonly SteppedLane[]): readonly boolean[] {
  const last = new Map(lanes.map(({ runId }, index) => [runId, index]));
  return lanes.map(({ runId, checkpoints }, index) => checkpoints.length > 0 && last.get(runId) === index);
}

/** Steps at which at least one lane's policy changes, ascending. */
export function stops(lanes: readonly SteppedLane[]): readonly number[] {
  const follows = followers(lanes);
  const steps = lanes.flatMap(({ checkpoints }, index) => (follows[index] ? checkpoints : []));
  return [...new Set(steps.map(({ envSteps }) => Number(envSteps)))].sort((a, b) => a - b);
}

/** The newest policy at or before so many steps; the first where there was none yet. */
export function checkpointAt(checkpoints: readonly Checkpoint[], steps: number): Checkpoint | undefined {
  return checkpoints.findLast(({ envSteps }) => Number(envSteps) <= steps) ?? checkpoints[0];
}

/** What each lane plays when every one that follows chooses among the policies of its run. */
export function lanesChosen(
  lanes: readonly SteppedLane[],
  choose: (checkpoints: readonly Checkpoint[]) => Checkpoint | undefined,
): readonly string[] {
  const follows = followers(lanes);
  return lanes.map(({ policyId, checkpoints }, index) =>
    follows[index] ? (choose(checkpoints)?.policyId ?? policyId) : policyId,
  );
}

/** Where the slider stands: at the last stop, if any, that gives what is played now; else at the most steps of a lane that follows. */
export function stopPlayed(lanes: readonly SteppedLane[]): number {
  const follows = followers(lanes);
  const played = lanes.flatMap(({ policyId, checkpoints }, index) => {
    const at = follows[index] ? checkpoints.find((each) => each.policyId === policyId) : undefined;
    return at ? [Number(at.envSteps)] : [];
  });
  const all = stops(lanes);
  const most = Math.max(...played, all[0] ?? 0);
  const now = lanes.map(({ policyId }) => policyId).join();
  const same = all.findLast((steps) => lanesChosen(lanes, (of) => checkpointAt(of, steps)).join() === now);
  return same ?? most;
}
