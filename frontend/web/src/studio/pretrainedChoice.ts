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
}

/** The policy that drives first: the newest version of a registered name, or else the newest policy; null where there is none. */
export async function choosePretrained(
  { registry, exporter }: Pick<Clients, "registry" | "exporter">,
  environmentId: string,
): Promise<Pretrained | null> {
  const { registered } = await registry.listRegisteredPolicies({ environmentId });
  for (const { name, versions } of registered) {
    const [newest] = versions;
    if (newest?.policy?.controller)
      return { policy: newest.policy, name: `${name}, version ${newest.number}`, registered: true };
  }
  const { policies } = await exporter.listPolicies({ environmentId });
  const policy = policies.find((each) => each.environmentId === environmentId && each.controller);
  if (!policy) return null;
  const name = `${policy.title || "its own task"}, ${formatCount(policy.envSteps)} steps`;
  return { policy, name, registered: false };
}
