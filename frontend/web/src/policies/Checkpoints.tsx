import { useEffect, useRef } from "react";
import { formatCount } from "../format/format";
import type { StudioState } from "../studio/useStudio";
import styles from "./Checkpoints.module.css";
import { returnOf, whatReturnIs } from "./episodeReturn";

/** What stays visible beside the chosen chip. */
const SPARE_PX = 24;

/** The policies of a run, oldest first: how the robot behaved after so much practice, each one click away. */
export function Checkpoints({ studio }: { readonly studio: StudioState }) {
  const { bestPolicyId, checkpoints, policyId, following, running, scale } = studio;
  const list = useRef<HTMLUListElement>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another policy, or a new chip beside it, is what triggers it
  useEffect(() => {
    const chosen = list.current?.querySelector<HTMLElement>("[aria-pressed=true]")?.parentElement;
    if (!list.current || !chosen || !following) return;
    list.current.scrollLeft = chosen.offsetLeft + chosen.offsetWidth - list.current.clientWidth + SPARE_PX;
  }, [following, policyId, bestPolicyId, checkpoints.length]);

  if (checkpoints.length === 0) return null;
  return (
    <section className={styles.row} aria-label="Policies of this run, by steps of practice">
      <button
        type="button"
        className={styles.follow}
        aria-pressed={following}
        onClick={() => studio.play(following ? policyId : "")}
        title={running ? "Let each new policy take over as it arrives" : "Play the policy with the highest return"}
      >
        <span className={running && following ? styles.live : styles.dot} aria-hidden="true" />
        {running ? "Newest" : "Best"}
      </button>
      <ul ref={list} className={styles.list}>
        {checkpoints.map((checkpoint) => (
          <li key={checkpoint.policyId}>
            <button
              type="button"
              className={styles.item}
              aria-pressed={checkpoint.policyId === policyId}
              onClick={() => studio.play(checkpoint.policyId)}
              title={`The return while training: ${whatReturnIs(scale)}`}
              data-testid="checkpoint-item"
              data-policy-id={checkpoint.policyId}
              data-env-steps={String(checkpoint.envSteps)}
            >
              <span className="number">
                {formatCount(checkpoint.envSteps)} steps
                {checkpoint.policyId === bestPolicyId && (
                  <span className={styles.best} data-testid="best">
                    best
                  </span>
                )}
              </span>
              <small className="number">
                {checkpoint.episodeReturn === undefined
                  ? "no return yet"
                  : `return ${returnOf(checkpoint.episodeReturn, scale)}`}
              </small>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
