import { upperFirst } from "../format/format";
import { GenerationPhase as Phase } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Generation } from "../stores/generation";
import styles from "./GenerationProgress.module.css";

const PHASES: readonly (readonly [Phase, string])[] = [
  [Phase.READING_ROBOT, "Reading the robot"],
  [Phase.WRITING, "Writing"],
  [Phase.CHECKING, "Checking"],
  [Phase.SEALING, "Sealing"],
];

/** The stages of writing a reward, the present one in the service's words, and what had to be repaired. */
export function GenerationProgress({ generation }: { readonly generation: Generation }) {
  const { phase, status, message, repairs } = generation;
  return (
    <div className={styles.progress} data-testid="generation-progress">
      {status === "working" && (
        <>
          <ol className={styles.phases} aria-hidden="true">
            {PHASES.map(([each, name]) => (
              <li key={each} className={each < phase ? styles.past : each === phase ? styles.present : undefined}>
                {name}
              </li>
            ))}
          </ol>
          <p className={styles.message} role="status">
            {upperFirst(message)}
          </p>
        </>
      )}
      {repairs.map(({ attempt, diagnostics }) => (
        <details key={attempt} className={styles.repair}>
          <summary>
            Attempt {attempt} broke {diagnostics.length === 1 ? "a rule" : `${diagnostics.length} rules`} and was sent
            back
          </summary>
          <ul>
            {diagnostics.map(({ rule, line, column, message: text }) => (
              <li key={`${rule} ${line} ${column}`}>
                {line > 0 && <span className="number">Line {line}: </span>}
                {text}
              </li>
            ))}
          </ul>
        </details>
      ))}
    </div>
  );
}
