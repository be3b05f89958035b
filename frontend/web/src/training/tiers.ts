import { Tier } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";

/** The ways to a behaviour, by how long a person waits. */
export type TierName = "command" | "fine-tune" | "full";

/** What a tier means to someone who waits for it, in a few words. */
export const TIER_LABELS: Readonly<Record<Tier, string>> = {
  [Tier.UNSPECIFIED]: "",
  [Tier.COMMAND]: "needs no training",
  [Tier.FINE_TUNE]: "learns in about a minute",
  [Tier.FULL]: "learns from scratch",
};

/** The tier that a reward's author recommends, by the page's name; undefined where nobody recommends one. */
export function tierNameOf(tier: Tier): TierName | undefined {
  return {
    [Tier.UNSPECIFIED]: undefined,
    [Tier.COMMAND]: "command",
    [Tier.FINE_TUNE]: "fine-tune",
    [Tier.FULL]: "full",
  }[tier] as TierName | undefined;
}
