import { formatCount } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { wordsOf } from "../registry/naming";

/** What a policy learned to do, as its maker said it. */
export function policyTitle({ title }: Pick<Policy, "title">): string {
  return wordsOf(title) || "The task's own reward";
}

/** How long it practised: `1.2M steps`. */
export function practice({ envSteps }: Pick<Policy, "envSteps">): string {
  return `${formatCount(envSteps)} steps`;
}

/** What a lane is called in a sentence or a file, so that two of one run can be told apart: `A, walk fast (1.2M steps)`. */
export function laneName(letter: string, policy: Pick<Policy, "title" | "envSteps"> | undefined): string {
  return policy ? `${letter}, ${policyTitle(policy)} (${practice(policy)})` : letter;
}

/** As above, with what tells them apart first, for where little room is: `A · 1.2M steps · walk fast`. */
export function laneLabel(letter: string, policy: Pick<Policy, "title" | "envSteps">): string {
  return `${letter} · ${practice(policy)} · ${policyTitle(policy)}`;
}

/** What the returns of a policy are sums of: equal for two policies only where these compare. */
export function rewardKey({ environmentId, reward }: Pick<Policy, "environmentId" | "reward">): string {
  if (!reward) return `${environmentId} own`;
  const weights = Object.entries(reward.weights)
    .filter(([, weight]) => weight !== 1)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([environmentId, reward.programSha256, weights]);
}
