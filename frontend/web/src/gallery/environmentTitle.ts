import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";

/** What an environment is called; its id while that is not known. */
export function environmentTitle(environments: readonly EnvironmentSummary[], environmentId: string): string {
  return environments.find((each) => each.environmentId === environmentId)?.title ?? environmentId;
}
