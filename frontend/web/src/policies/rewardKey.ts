import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";

/** What the returns of a policy are sums of: equal for two policies only where these compare. */
export function rewardKey({ environmentId, reward }: Pick<Policy, "environmentId" | "reward">): string {
  if (!reward) return `${environmentId} own`;
  const weights = Object.entries(reward.weights)
    .filter(([, weight]) => weight !== 1)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([environmentId, reward.programSha256, weights]);
}
