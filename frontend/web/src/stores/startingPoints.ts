import type { Clients } from "../rpc/clients";
import { bestOf, hasEnded, playable } from "./runRecord";

/** A policy that training can go on from, or that can be played as it is. */
export interface StartingPoint {
  readonly policyId: string;
  /** What people call it: its registered name and version, or the words that its run was trained for; empty for the robot's own task. */
  readonly title: string;
  /** Whether somebody gave it a name. */
  readonly registered: boolean;
  /** Control steps that it has learnt from. */
  readonly envSteps: bigint;
  /** Its return in training or when it was measured last; returns of different rewards do not compare. */
  readonly episodeReturn?: number;
  /** Reward that it was trained for; empty for the task that the environment sets itself. */
  readonly rewardId: string;
  /** Whether it was trained for the task that the environment sets itself. */
  readonly ownTask: boolean;
}

/** Runs that are looked through for their best policy. */
const RUNS = 50;

/**
 * The policies of an environment that are worth starting from: the newest version of each registered name, then the best of each run by
 * its return. Imported policies have no checkpoint and are left out.
 */
export async function startingPointsOf(
  { registry, trainer }: Clients,
  environmentId: string,
): Promise<readonly StartingPoint[]> {
  const [{ registered }, { runs }] = await Promise.all([
    registry.listRegisteredPolicies({ environmentId }),
    trainer.listRuns({ environmentId, pageSize: RUNS }),
  ]);
  const named = registered.flatMap(({ name, versions }): StartingPoint[] => {
    const version = versions[0];
    if (!version?.policy?.checkpointSha256) return [];
    const { policyId, envSteps, measurements, reward } = version.policy;
    const measured = measurements[0]?.meanReturn;
    const title = `${name}, version ${version.number}`;
    const rewardId = reward?.rewardId ?? "";
    return [{ policyId, title, registered: true, envSteps, rewardId, ownTask: !reward, ...returned(measured) }];
  });
  const trained = runs.flatMap((run): StartingPoint[] => {
    const best = hasEnded(run.state) ? bestOf(playable(run)) : playable(run).at(-1);
    if (!best) return [];
    const { policyId, envSteps, episodeReturn } = best;
    const { title = "", reward } = run.spec ?? {};
    const rewardId = reward?.rewardId ?? "";
    return [{ policyId, title, registered: false, envSteps, rewardId, ownTask: !reward, ...returned(episodeReturn) }];
  });
  trained.sort((a, b) => (b.episodeReturn ?? -Infinity) - (a.episodeReturn ?? -Infinity));
  const known = new Set(named.map(({ policyId }) => policyId));
  return [...named, ...trained.filter(({ policyId }) => !known.has(policyId))];
}

function returned(episodeReturn: number | undefined): Pick<StartingPoint, "episodeReturn"> {
  return episodeReturn === undefined ? {} : { episodeReturn };
}
