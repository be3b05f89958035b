import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";

/** Policies of one run, newest first; a policy without a run is alone. */
export interface RunPolicies {
  readonly key: string;
  readonly newest: Policy;
  readonly earlier: readonly Policy[];
}

/** Policies in the order in which they are listed, those of one run together where the first of them is. */
export function byRun(policies: readonly Policy[]): RunPolicies[] {
  const groups = new Map<string, Policy[]>();
  for (const policy of policies) {
    // The run of an imported one is elsewhere, even where its id is the same.
    const key = (!policy.imported && policy.runId) || policy.policyId;
    const group = groups.get(key);
    if (group) group.push(policy);
    else groups.set(key, [policy]);
  }
  return [...groups].flatMap(([key, [newest, ...earlier]]) => (newest ? [{ key, newest, earlier }] : []));
}
