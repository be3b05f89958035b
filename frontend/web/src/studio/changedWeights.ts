import { useMemo } from "react";
import { useDraft } from "../stores/draft";

type Weights = Readonly<Record<string, number>>;

/** Weights that a person has changed. */
export interface ChangedWeights {
  /** Those that are not trained for in what is shown. */
  readonly weights: Weights;
  set(term: string, weight: number): void;
  /** Training was started with these weights: every run of the reward is shown with its own until the person changes one again. */
  started(weights: Weights): void;
}

interface Kept {
  readonly weights: Weights;
  /** Whether a run was started with them. */
  readonly trained: boolean;
}

/**
 * The weights of a reward's terms that a person has changed; they survive a reload of the tab. `trained` are those of the run that is shown,
 * where it is for this reward.
 */
export function useChangedWeights(rewardId: string, trained: Weights | undefined): ChangedWeights {
  const [text, write] = useDraft(`weights.${rewardId}`);
  const kept = useMemo(() => keptFrom(text), [text]);
  const weights = trained && kept.trained ? NONE : kept.weights;
  return {
    weights,
    set: (term, weight) =>
      write((before) => {
        const now = keptFrom(before);
        return JSON.stringify({ ...(trained && now.trained ? trained : now.weights), [term]: weight });
      }),
    started: (of) =>
      write((before) => {
        const now = keptFrom(before);
        const same = Object.entries(now.weights).every(([term, weight]) => of[term] === weight);
        return before && same ? JSON.stringify({ trained: now.weights }) : before;
      }),
  };
}

const NONE: Weights = {};

/** Reads weights that were kept; what is no weight is left out. */
export function weightsFrom(text: string): Weights {
  return keptFrom(text).weights;
}

function keptFrom(text: string): Kept {
  if (!text) return { weights: NONE, trained: false };
  try {
    const kept: unknown = JSON.parse(text);
    if (typeof kept !== "object" || kept === null) return { weights: NONE, trained: false };
    const trained = "trained" in kept && typeof kept.trained === "object" && kept.trained !== null;
    const weights = Object.entries(trained ? (kept.trained as object) : kept);
    return { weights: Object.fromEntries(weights.filter(([, weight]) => Number.isFinite(weight))), trained };
  } catch {
    return { weights: NONE, trained: false };
  }
}
