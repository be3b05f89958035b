import { useEffect, useRef } from "react";
import { formatCount, formatReward } from "../format/format";
import type { StudioState } from "../studio/useStudio";
import styles from "./Checkpoints.module.css";

/** The policies of a run, oldest first: how the robot behaved after so much practice, each one click away. */
export function Checkpoints({ studio }: { readonly studio: StudioState }) {
  const { checkpoints, policyId, following, running } = studio;
  const list = useRef<HTMLUListElement>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new checkpoint is what triggers it
  useEffect(() => {
    if (following && list.current) list.current.scrollLeft = list.current.scrollWidth;
  }, [following, checkpoints.length]);

  if (checkpoints.length === 0) return null;
  return (
    <section className={styles.row} aria-label="Policies of this run">
      <button
        type="button"
        className={styles.follow}
        aria-pressed={following}
        onClick={() => studio.play(following ? policyId : "")}
        title="Let each new policy take over as it arrives"
      >
        <span className={running && following ? styles.live : styles.dot} aria-hidden="true" />
        Newest
      </button>
      <ul ref={list} className={styles.list}>
        {checkpoints.map((checkpoint) => (
          <li key={checkpoint.policyId}>
            <button
              type="button"
              className={styles.item}
              aria-pressed={checkpoint.policyId === policyId}
              onClick={() => studio.play(checkpoint.policyId)}
              data-testid="checkpoint-item"
              data-policy-id={checkpoint.policyId}
              data-env-steps={String(checkpoint.envSteps)}
            >
              <span className="number">{formatCount(checkpoint.envSteps)}</span>
              <small className="number">
                {checkpoint.episodeReturn === undefined
                  ? "no score yet"
                  : `score ${formatReward(checkpoint.episodeReturn)}`}
              </small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
