import { useState } from "react";
import { useSession } from "../app/session";
import { differenceRow } from "../policies/differenceRows";
import { useResource } from "../stores/resource";
import { FailureNotice } from "../ui/Notice";
import styles from "./Differences.module.css";
import { laneLetter } from "./lanes";

interface DifferencesProps {
  /** Ids of the two policies. */
  readonly left: string;
  readonly right: string;
}

/** In what two policies differ besides how they do, for those who want to know why. */
export function Differences({ left, right }: DifferencesProps) {
  const { registry } = useSession();
  const [open, setOpen] = useState(false);
  const key = `${left},${right}`;
  const { value, failure } = useResource(registry.comparisons, open ? key : "");
  const rows = value?.differences.map((each) => differenceRow(each, false)) ?? [];
  return (
    <details
      className={styles.differences}
      onToggle={(event) => setOpen(event.currentTarget.open)}
      data-testid="differences"
    >
      <summary>In what else they differ</summary>
      {failure && !value && <FailureNotice failure={failure} onRetry={() => registry.comparisons.reload(key)} />}
      {open && !value && !failure && <p className={styles.wait}>Looking both up</p>}
      {value && rows.length === 0 && <p>They are the same in all that is on record.</p>}
      {rows.length > 0 && (
        <div className={styles.scroll}>
          <table>
            <thead>
              <tr>
                <td />
                <th scope="col">{laneLetter(0)}</th>
                <th scope="col">{laneLetter(1)}</th>
                <th scope="col">More in {laneLetter(1)}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key: row, label, left: before, right: after, change }) => (
                <tr key={row}>
                  <th scope="row">{label}</th>
                  <td className="number">{before}</td>
                  <td className="number">{after}</td>
                  <td className="number">{change}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
