import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { ALL } from "../stores/resource";

/** Deletes a policy, and takes it off the lists. */
export function useDeletePolicy(): (policy: Policy) => Promise<void> {
  const { clients, policyLists } = useSession();
  return async ({ policyId, environmentId }) => {
    await clients.exporter.deletePolicy({ policyId });
    for (const key of [ALL, environmentId]) {
      const { value } = policyLists.get(key);
      if (value) policyLists.put(key, { ...value, items: value.items.filter((each) => each.policyId !== policyId) });
    }
  };
}
