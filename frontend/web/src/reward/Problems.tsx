import { toSentence } from "../format/format";
import type { SourceProblem } from "../stores/generation";
import styles from "./Problems.module.css";

interface ProblemsProps {
  readonly problems: readonly SourceProblem[];
  /** Whether the service refused the source for them. */
  readonly refused: boolean;
}

/** What is wrong with a source, place by place: the rule, what it says, and what to do instead. */
export function Problems({ problems, refused }: ProblemsProps) {
  if (problems.length === 0) return null;
  return (
    <ul
      className={styles.problems}
      data-testid={refused ? "error" : "diagnostics"}
      role={refused ? "alert" : undefined}
    >
      {problems.map(({ line, column, message, severity }) => {
        const { rule, what, remedy } = parts(message);
        return (
          <li key={`${line}:${column} ${message}`} className={styles[severity]} data-whole={line === 0 || undefined}>
            {line > 0 && <code className={styles.place}>{`${line}:${column}`}</code>}
            <p>
              {what}
              {remedy && (
                <>
                  {" "}
                  <strong>{remedy}</strong>
                </>
              )}
              {rule && <small>{rule}</small>}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

/** A violation is `rule: what is wrong; what to do`; anything else is said as it is. */
function parts(message: string): { readonly rule: string; readonly what: string; readonly remedy: string } {
  const [, rule = "", rest = message] = /^([a-z]+(?:-[a-z]+)+): (.*)$/s.exec(message) ?? [];
  if (rule === "") return { rule, what: message, remedy: "" };
  const cut = rest.indexOf("; ");
  const [what, remedy] = cut < 0 ? [rest, ""] : [rest.slice(0, cut), rest.slice(cut + 2)];
  return { rule, what: toSentence(what), remedy: toSentence(remedy) };
}
