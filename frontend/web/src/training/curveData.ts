import type { TrainingMetrics } from "../gen/tabrl/trainer/v1/trainer_pb";

/** Curves over environment steps, in the layout that uPlot takes: x first, then one array for each series, null for a gap. */
export interface CurveData {
  readonly names: readonly string[];
  readonly steps: number[];
  /** Mean return of finished episodes. */
  readonly returns: (number | null)[];
  /** Return of a whole episode, projected from the newest rollouts; only before the first episode has ended. */
  readonly projected: (number | null)[];
  readonly terms: (number | null)[][];
  readonly speed: number[];
  /** Share of the newest finished episodes that lasted their whole time. */
  readonly survival: (number | null)[];
}

/** Collects curves from metrics; terms in the given order, then others by the alphabet. */
export function curveData(history: readonly TrainingMetrics[], termNames: readonly string[]): CurveData {
  const seen = new Set(history.flatMap(({ termReturns }) => Object.keys(termReturns)));
  const names = [
    ...termNames.filter((name) => seen.has(name)),
    ...[...seen].filter((name) => !termNames.includes(name)).sort(),
  ];
  const firstReal = history.findIndex(({ episodeReturn }) => episodeReturn !== undefined);
  return {
    names,
    steps: history.map(({ envSteps }) => Number(envSteps)),
    returns: history.map(({ episodeReturn }) => episodeReturn ?? null),
    projected: history.map(({ projectedReturn }, index) =>
      firstReal < 0 || index < firstReal ? projectedReturn : null,
    ),
    terms: names.map((name) => history.map(({ termReturns }) => termReturns[name] ?? null)),
    speed: history.map(({ envStepsPerSec }) => envStepsPerSec),
    survival: history.map(({ survival }) => survival ?? null),
  };
}
