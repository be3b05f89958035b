import type { RewardTerm } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";

/** What a term can bring or cost, beside the others. */
export interface Worth {
  readonly name: string;
  /** Part of the sum of all terms' sizes, from 0 to 1; 0 where nothing has any size. */
  readonly share: number;
  readonly cost: boolean;
}

/** What each term is worth beside the others, and what that is reckoned from. */
export interface Worths {
  readonly terms: readonly Worth[];
  /** Whether the terms were tried on states that the robot gets into; otherwise the weights alone are compared. */
  readonly tried: boolean;
}

/**
 * What each term can count for at most: its weight times its largest size on states that the robot was seen in. Where one was not tried, or
 * none of them showed any size, weights alone are compared.
 */
export function worthOf(terms: readonly RewardTerm[], weights: Readonly<Record<string, number>>): Worths {
  const reach = terms.map(({ trial }) => (trial ? Math.max(Math.abs(trial.low), Math.abs(trial.high)) : Number.NaN));
  const tried = reach.every(Number.isFinite) && reach.some((size) => size > 0);
  const sizes = terms.map(({ name, weight }, index) => {
    const size = Math.abs(weights[name] ?? weight) * (tried ? (reach[index] ?? 0) : 1);
    return Number.isFinite(size) ? size : 0;
  });
  const all = sizes.reduce((sum, size) => sum + size, 0);
  return {
    terms: terms.map(({ name, weight, trial }, index) => ({
      name,
      share: all > 0 ? (sizes[index] ?? 0) / all : 0,
      cost: (weights[name] ?? weight) * (trial && trial.high <= 0 ? -1 : 1) < 0,
    })),
    tried,
  };
}

/** Between which a slider moves a weight: from nothing to three times what its author gave it, the sign kept; wider where it is beyond. */
export function sliderRange(written: number, value: number): readonly [low: number, high: number] {
  const far = written === 0 ? 1 : 3 * written;
  return [Math.min(0, far, value), Math.max(0, far, value)];
}

/** The weights that differ from what the reward's author gave them. */
export function changedWeights(
  terms: readonly RewardTerm[],
  weights: Readonly<Record<string, number>>,
): readonly RewardTerm[] {
  return terms.filter(({ name, weight }) => (weights[name] ?? weight) !== weight);
}
