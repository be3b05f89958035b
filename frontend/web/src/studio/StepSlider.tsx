import { useMemo } from "react";
import { useSession } from "../app/session";
import { formatCount } from "../format/format";
import { returnOf, whatReturnIs } from "../policies/episodeReturn";
import { useStore } from "../stores/store";
import styles from "./StepSlider.module.css";
import { heightsOf, markByKey, nearest, placesOf, useScrub } from "./scrubbing";
import type { StudioState } from "./useStudio";

/** With more checkpoints than this, their ticks would run into each other. */
const DENSE = 40;

/** The policies of a run along its steps of practice, with their returns above: how the robot behaved after so much of it. */
export function StepSlider({ studio }: { readonly studio: StudioState }) {
  const { bestPolicyId, checkpoints: marks, policyId, following, running, scale } = studio;
  const { runId } = useStore(useSession().navigation.place);
  const { asked, scrub, settle } = useScrub(studio.play);
  const places = useMemo(() => placesOf(marks), [marks]);
  const heights = useMemo(() => heightsOf(marks), [marks]);
  // A run that is on its way finds its room kept.
  if (marks.length === 0) return runId ? <div className={styles.row} aria-hidden="true" /> : null;
  const shownId = asked || policyId;
  const index = marks.findIndex((mark) => mark.policyId === shownId);
  const shown = marks[index];
  const place = places[index] ?? 1;
  const words = (mark: (typeof marks)[number]) =>
    `${formatCount(mark.envSteps)} steps, ${
      mark.episodeReturn === undefined ? "no return yet" : `return ${returnOf(mark.episodeReturn, scale)}`
    }`;
  const goTo = (next: number | undefined) => {
    const mark = next === undefined ? undefined : marks[next];
    if (mark && mark.policyId !== shownId) scrub(mark.policyId);
  };

  return (
    <section className={styles.row} aria-label="Policies of this run, by steps of practice" data-testid="step-slider">
      <button
        type="button"
        className={styles.follow}
        aria-pressed={following}
        onClick={() => studio.play(following ? policyId : "")}
        title={running ? "Let each new policy take over as it arrives" : "Play the policy with the highest return"}
        data-testid="follow"
      >
        <span className={running && following ? styles.live : styles.dot} aria-hidden="true" />
        {running ? "Newest" : "Best"}
      </button>
      <div className={styles.track}>
        <div className={styles.inner}>
          <Curve places={places} heights={heights} />
          <ol className={styles.marks} data-dense={marks.length > DENSE || undefined} aria-hidden="true">
            {marks.map((mark, each) => (
              <li
                key={mark.policyId}
                style={{ left: `${100 * (places[each] ?? 0)}%` }}
                data-chosen={each === index}
                data-best={mark.policyId === bestPolicyId || undefined}
                data-testid="checkpoint-item"
                data-policy-id={mark.policyId}
                data-env-steps={String(mark.envSteps)}
              >
                <span className={styles.point} style={{ bottom: `${100 * (heights[each] ?? 0)}%` }} />
                <span className="hidden-visually">{words(mark)}</span>
                {mark.policyId === bestPolicyId && (
                  <span className={styles.star} data-testid="best">
                    best
                  </span>
                )}
              </li>
            ))}
          </ol>
          {shown && <span className={styles.thumb} style={{ left: `${100 * place}%` }} aria-hidden="true" />}
        </div>
        <input
          type="range"
          min={0}
          max={1}
          step="any"
          value={place}
          aria-label="Steps of practice"
          aria-valuetext={shown ? words(shown) : "No policy of this run"}
          onChange={(event) => goTo(nearest(places, event.target.valueAsNumber))}
          onKeyDown={(event) => {
            // Shift with an arrow pushes the robot.
            const next = event.shiftKey ? undefined : markByKey(event.key, index, marks.length);
            if (next === undefined) return;
            event.preventDefault();
            goTo(next);
          }}
          onPointerUp={settle}
          onBlur={settle}
          data-testid="scrub"
        />
      </div>
      <p
        className={styles.words}
        title={`The return while training: ${whatReturnIs(scale)}`}
        data-testid="checkpoint-words"
      >
        <span className="number">
          {shown ? `${formatCount(shown.envSteps)} steps` : "Another policy"}
          {shown && shown.policyId === bestPolicyId && <span className={styles.best}>best</span>}
        </span>
        <small className="number">
          {shown &&
            (shown.episodeReturn === undefined ? "no return yet" : `return ${returnOf(shown.episodeReturn, scale)}`)}
        </small>
      </p>
    </section>
  );
}

interface CurveProps {
  readonly places: readonly number[];
  readonly heights: readonly (number | undefined)[];
}

/** The returns as a line; what is not measured is left out. */
function Curve({ places, heights }: CurveProps) {
  const points = heights.flatMap((height, index) =>
    height === undefined ? [] : [[100 * (places[index] ?? 0), 100 * (1 - height)] as const],
  );
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < 2) return null;
  const line = points.map(([x, y]) => `${x},${y}`).join(" ");
  return (
    <svg className={styles.curve} viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`${first[0]},100 ${line} ${last[0]},100`} />
      <polyline points={line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
