import { formatCount } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Clients } from "../rpc/clients";

/** A policy that drives an environment's robot before the person has trained one. */
export interface Pretrained {
  readonly policy: Policy;
  /** What it is called: the registered name with its version, or what it was trained for. */
  readonly name: string;
  /** Whether somebody gave it that name; else it is just what was trained last. */
  readonly registered: boolean;
  /** Whether it was trained for the task that the environment sets itself. */
  readonly ownTask: boolean;
}

/** The policies that may drive first: the newest version of each registered name, then the newest policies. */
export async function pretrainedOf(
  { registry, exporter }: Pick<Clients, "registry" | "exporter">,
  environmentId: string,
): Promise<readonly Pretrained[]> {
  const [{ registered }, { policies }] = await Promise.all([
    registry.listRegisteredPolicies({ environmentId }),
    exporter.listPolicies({ environmentId }),
  ]);
  const named = registered.flatMap(({ name, versions: [newest] }): Pretrained[] => {
    const policy = newest?.policy;
    if (!policy?.controller) return [];
    return [{ policy, name: `${name}, version ${newest?.number}`, registered: true, ownTask: isOwnTask(policy) }];
  });
  const others = policies
    .filter((each) => each.environmentId === environmentId && each.controller)
    .map((policy): Pretrained => {
      const name = `${policy.title || "its own task"}, ${formatCount(policy.envSteps)} steps`;
      return { policy, name, registered: false, ownTask: isOwnTask(policy) };
    });
  return [...named, ...others];
}

/** The one that drives first: for the reward that is chosen, if any, else for the environment's own task, else whatever it is for. */
export function choosePretrained(known: readonly Pretrained[], rewardId: string): Pretrained | undefined {
  const same = rewardId ? known.find(({ policy }) => rewardOf(policy) === rewardId) : undefined;
  return same ?? known.find(({ ownTask }) => ownTask) ?? known[0];
}

/** What it is, for people; what was trained for something else than the environment's own task is not called pretrained. */
export function wordsFor({ name, registered, ownTask }: Pretrained): string {
  if (!registered) return `Trained before: ${name}`;
  return ownTask ? `Pretrained: ${name}` : `Your ${name}`;
}

function rewardOf({ reward, lineage }: Policy): string {
  return reward?.rewardId || lineage?.rewardId || "";
}

function isOwnTask(policy: Policy): boolean {
  return !policy.reward && !rewardOf(policy);
}
