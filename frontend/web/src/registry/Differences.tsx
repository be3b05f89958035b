import { useEffect, useRef } from "react";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { differenceRow } from "../policies/differenceRows";
import { rewardKey } from "../policies/rewardKey";
import { useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./Differences.module.css";
import { useAction } from "./useAction";
import { verdictOf } from "./verdict";

interface DifferencesProps {
  readonly name: string;
  readonly a: PolicyVersion;
  readonly b: PolicyVersion;
}

/** In what two versions differ, and which one does better. */
export function Differences({ name, a, b }: DifferencesProps) {
  const { registry } = useSession();
  const key = `${a.policy?.policyId},${b.policy?.policyId}`;
  const { value, failure } = useResource(registry.comparisons, key);
  const comparable = a.policy !== undefined && b.policy !== undefined && rewardKey(a.policy) === rewardKey(b.policy);
  const rows = value?.differences.map((each) => differenceRow(each, comparable)) ?? [];
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => heading.current?.focus({ preventScroll: true }), []);

  return (
    <section className={styles.differences} aria-labelledby="differences" data-testid="differences">
      <h2 id="differences" ref={heading} tabIndex={-1}>
        Version {a.number} and version {b.number}
      </h2>
      {a.policy && b.policy && <Better name={name} a={a.policy} b={b.policy} />}
      {failure && <FailureNotice failure={failure} onRetry={() => registry.comparisons.reload(key)} />}
      {!value && !failure && <div className={styles.placeholder} />}
      {value && rows.length === 0 && <p>Nothing else is known in which they differ.</p>}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        <section className={styles.scroll} tabIndex={0} aria-label="Differences">
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">
                  A <span>version {a.number}</span>
                </th>
                <th scope="col">
                  B <span>version {b.number}</span>
                </th>
                <th scope="col">From A to B</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key: row, label, left, right, change, effect }) => (
                <tr key={row}>
                  <th scope="row">{label}</th>
                  <td className="number">{left}</td>
                  <td className="number">{right}</td>
                  <td className={`number ${effect ? styles[effect] : ""}`}>
                    {change}
                    {effect && <span className="hidden-visually"> ({effect})</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

interface BetterProps {
  readonly name: string;
  readonly a: Policy;
  readonly b: Policy;
}

/** Which one is better, and a way to know it where that is not known. */
function Better({ name, a, b }: BetterProps) {
  const { registry } = useSession();
  const action = useAction();
  const { better, headline, reasons, unmeasured } = verdictOf(a, b);

  const measure = () =>
    void action.run(async () => {
      // One after the other: the server plays them one at a time anyway.
      for (const letter of unmeasured) await registry.measure((letter === "A" ? a : b).policyId, 10, name);
    });

  return (
    <div className={`${styles.verdict} ${better ? styles.decided : ""}`} role="status" data-testid="verdict">
      <p className={styles.headline}>{headline}</p>
      {reasons.map((reason) => (
        <p key={reason}>{reason}</p>
      ))}
      {unmeasured.length > 0 && (
        <Button size="small" busy={action.busy} onClick={measure} data-testid="measure-missing">
          {action.busy ? "Measuring…" : `Measure ${unmeasured.join(" and ")}`}
        </Button>
      )}
      {action.failure && <FailureNotice failure={action.failure} onRetry={measure} />}
    </div>
  );
}
