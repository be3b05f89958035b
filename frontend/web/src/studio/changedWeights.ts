import { useMemo } from "react";
import { useDraft } from "../stores/draft";

type Weights = Readonly<Record<string, number>>;

/** The weights of a reward's terms that a person has changed and not trained for yet; they survive a reload of the tab. */
export function useChangedWeights(
  rewardId: string,
): readonly [weights: Weights, set: (term: string, weight: number) => void] {
  const [text, write] = useDraft(`weights.${rewardId}`);
  const weights = useMemo(() => weightsFrom(text), [text]);
  return [weights, (term, weight) => write((before) => JSON.stringify({ ...weightsFrom(before), [term]: weight }))];
}

/** Reads weights that were kept; what is no weight is left out. */
export function weightsFrom(text: string): Weights {
  if (!text) return {};
  try {
    const kept: unknown = JSON.parse(text);
    if (typeof kept !== "object" || kept === null) return {};
    return Object.fromEntries(Object.entries(kept).filter(([, weight]) => Number.isFinite(weight)));
  } catch {
    return {};
  }
}
