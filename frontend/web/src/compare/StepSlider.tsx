import { useState } from "react";
import { formatCount } from "../format/format";
import type { Checkpoint } from "../gen/tabrl/trainer/v1/trainer_pb";
import { bestOf } from "../stores/runRecord";
import { Button } from "../ui/Button";
import { Slider } from "../ui/Slider";
import { laneLetter } from "./lanes";
import styles from "./StepSlider.module.css";
import { checkpointAt, followers, lanesChosen, stopPlayed, stops } from "./stepScale";
import type { Comparison } from "./useComparison";

/** One slider over the practice of all runs: each robot shows what it could do after so many steps. */
export function StepSlider({ comparison: { lanes, change } }: { readonly comparison: Comparison }) {
  const all = stops(lanes);
  const [chosen, setChosen] = useState<{ readonly steps: number; readonly ids: string }>();
  if (all.length < 2) return <div className={styles.practice} />;
  const ids = lanes.map(({ policyId }) => policyId);
  // What was chosen by hand stands as long as it is what plays: several stops may play the same.
  const steps = chosen?.ids === ids.join() ? chosen.steps : stopPlayed(lanes);
  const stop = Math.max(
    0,
    all.findLastIndex((each) => each <= steps),
  );
  const follows = followers(lanes);
  const held = lanes.flatMap(({ place, policy }) => (follows[place] || !policy ? [] : [laneLetter(place)]));

  function play(choose: (of: readonly Checkpoint[]) => Checkpoint | undefined, at?: number) {
    const next = lanesChosen(lanes, choose);
    setChosen(at === undefined ? undefined : { steps: at, ids: next.join() });
    change(next);
  }

  return (
    <section className={styles.practice} aria-label="Practice" data-testid="step-slider">
      <Slider
        label="Practice"
        value={stop}
        low={0}
        high={all.length - 1}
        step={1}
        shown={`${formatCount(all[stop] ?? 0)} steps`}
        testId="compare-steps"
        onChange={(value) => {
          const at = all[value] ?? 0;
          play((of) => checkpointAt(of, at), at);
        }}
      />
      <div className={styles.resets}>
        <Button size="small" onClick={() => play((of) => of.at(-1))} data-testid="all-newest">
          Newest
        </Button>
        <Button size="small" onClick={() => play(bestOf)} data-testid="all-best">
          Best
        </Button>
      </div>
      {held.length > 0 && (
        <p className={styles.held}>
          {held.join(", ")} {held.length === 1 ? "stays" : "stay"} to compare with.
        </p>
      )}
    </section>
  );
}
