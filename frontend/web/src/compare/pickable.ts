import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import { MOST_LANES } from "./lanes";

/** What is compared already. */
export interface Present {
  readonly ids: readonly string[];
  /** Environment that all of them drive; empty where nothing is chosen yet. */
  readonly environmentId: string;
}

/** Why a policy cannot be added; empty when it can. */
export function refusal(
  { policyId, environmentId }: { readonly policyId: string; readonly environmentId: string },
  present: Present,
  environments: readonly EnvironmentSummary[],
): string {
  if (present.ids.includes(policyId)) return "compared already";
  if (present.environmentId && environmentId !== present.environmentId) {
    const robotOf = (id: string) => environments.find((each) => each.environmentId === id)?.robot;
    const robot = robotOf(environmentId);
    return robot && robot === robotOf(present.environmentId) ? "drives in another task" : "drives another robot";
  }
  return present.ids.length >= MOST_LANES ? "four is the most" : "";
}
