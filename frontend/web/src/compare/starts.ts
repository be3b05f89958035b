import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { runTitle } from "../policies/policyTitle";
import { bestOf, playable } from "../stores/runRecord";
import { MOST_LANES } from "./lanes";

/** A comparison worth a look, made of what was trained lately. */
export interface Start {
  readonly title: string;
  readonly environmentId: string;
  readonly ids: readonly string[];
  /** What it is made of, in words. */
  readonly told: string;
}

/** How many runs are offered by themselves. */
const RUNS_OFFERED = 4;

/** The comparisons to begin with: how far the last run came, then the best of the newest runs of one robot, then each earlier run. */
export function startsFrom(runs: readonly Run[]): readonly Start[] {
  const trained = runs.flatMap((run) => {
    const checkpoints = playable(run);
    const [first, best] = [checkpoints[0], bestOf(checkpoints)];
    return first && best ? [{ run, first, best }] : [];
  });
  const grown = trained.filter(({ first, best }) => first !== best);
  const ofOne = trained.filter(({ run }) => environmentOf(run) === environmentOf(trained[0]?.run));
  const bests = ofOne.slice(0, MOST_LANES).map(({ best }) => best.policyId);
  const single = ({ run, first, best }: (typeof trained)[number], title: string): Start => ({
    title,
    environmentId: environmentOf(run),
    ids: [first.policyId, best.policyId],
    told: runTitle(run),
  });
  const [last, ...earlier] = grown;
  return [
    ...(last ? [single(last, "The first and the best policy of your last run")] : []),
    ...(bests.length > 1
      ? [
          {
            title: `The best of your last ${bests.length} runs`,
            environmentId: environmentOf(trained[0]?.run),
            ids: bests,
            told: ofOne
              .slice(0, bests.length)
              .map(({ run }) => runTitle(run))
              .join(" · "),
          },
        ]
      : []),
    ...earlier.slice(0, RUNS_OFFERED).map((each) => single(each, "The first and the best of an earlier run")),
  ];
}

function environmentOf(run: Run | undefined): string {
  return run?.spec?.environmentId ?? "";
}
