import { Link } from "../app/Link";
import type { PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { Button } from "../ui/Button";
import { CloseIcon } from "../ui/icons";
import styles from "./ABBar.module.css";

interface ABBarProps {
  readonly a: PolicyVersion | undefined;
  readonly b: PolicyVersion | undefined;
  /** Whether the table of differences is shown. */
  readonly differing: boolean;
  readonly onDiffer: (shown: boolean) => void;
  readonly onClear: () => void;
}

/** The two versions that are held against each other; stays in sight while a person looks for the second. */
export function ABBar({ a, b, differing, onDiffer, onClear }: ABBarProps) {
  const ready = a?.policy && b?.policy;
  return (
    <section
      className={`${styles.bar} ${a || b ? "" : styles.waiting}`}
      aria-label="Compare two versions"
      data-testid="ab-bar"
    >
      <p className={styles.slots}>
        <SlotMark letter="A" version={a} />
        <SlotMark letter="B" version={b} />
        {(a || b) && (
          <Button size="small" variant="quiet" icon={<CloseIcon />} aria-label="Empty A and B" onClick={onClear} />
        )}
        <span className={styles.hint}>{hint(a, b)}</span>
      </p>
      <span className={styles.actions}>
        <Button
          size="small"
          variant="primary"
          disabled={!ready}
          aria-expanded={Boolean(ready) && differing}
          onClick={() => onDiffer(!differing)}
          data-testid="compare-ab"
        >
          {ready && differing ? "Hide the differences" : "Compare A with B"}
        </Button>
        {a?.policy && b?.policy && (
          <Link
            to={{ view: "compare", compared: `${a.policy.policyId},${b.policy.policyId}` }}
            className={styles.link}
            data-testid="side-by-side"
          >
            Watch side by side
          </Link>
        )}
      </span>
    </section>
  );
}

function SlotMark({ letter, version }: { readonly letter: string; readonly version: PolicyVersion | undefined }) {
  return (
    <span className={`${styles.slot} ${version ? styles.filled : ""}`}>
      <strong>{letter}</strong>
      <span className="number">{version ? `version ${version.number}` : "empty"}</span>
    </span>
  );
}

function hint(a: PolicyVersion | undefined, b: PolicyVersion | undefined): string {
  if (a && b) return "";
  if (a || b) return `Choose ${a ? "B" : "A"} among the versions below.`;
  return "Choose A and B among the versions below.";
}
