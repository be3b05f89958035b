import { useState } from "react";
import { LogLevel, type LogLine } from "../gen/tabrl/trainer/v1/trainer_pb";
import { Button } from "../ui/Button";
import styles from "./RunLog.module.css";

const LEVELS: readonly (readonly [LogLevel, string])[] = [
  [LogLevel.INFO, "All lines"],
  [LogLevel.WARNING, "Warnings and errors"],
  [LogLevel.ERROR, "Errors"],
];

/** How long the button says that it has copied, in milliseconds. */
const SAID_MS = 2000;

/** What the trainer said, by how much it matters, to be read or taken along. */
export function RunLog({ lines }: { readonly lines: readonly LogLine[] }) {
  const [least, setLeast] = useState(LogLevel.INFO);
  const [said, setSaid] = useState("");
  if (lines.length === 0) return null;
  const shown = lines.filter(({ level }) => level >= least);

  async function copy() {
    const text = shown.map(({ level, text }) => `${LogLevel[level]} ${text}`).join("\n");
    const said = await navigator.clipboard.writeText(text).then(
      () => "Copied",
      () => "The browser does not allow it",
    );
    setSaid(said);
    setTimeout(() => setSaid(""), SAID_MS);
  }

  return (
    <details className={styles.log} data-testid="run-log">
      <summary>
        What the trainer says <span className="number">({lines.length})</span>
      </summary>
      <div className={styles.bar}>
        <select
          aria-label="Lines to show"
          value={least}
          onChange={(event) => setLeast(Number(event.target.value))}
          data-testid="log-level"
        >
          {LEVELS.map(([level, label]) => (
            <option key={level} value={level}>
              {label}
            </option>
          ))}
        </select>
        {/* A page that was not opened over https or from this machine may not use the clipboard. */}
        {"clipboard" in navigator && shown.length > 0 && (
          <Button size="small" variant="quiet" onClick={() => void copy()} data-testid="copy-log">
            <span role="status">{said || "Copy"}</span>
          </Button>
        )}
      </div>
      {shown.length === 0 ? (
        <p className={styles.none}>Nothing of that kind.</p>
      ) : (
        <ol>
          {shown.map(({ level, text }, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines are only ever appended
            <li key={index} className={level === LogLevel.INFO ? undefined : styles.loud}>
              {text}
            </li>
          ))}
        </ol>
      )}
    </details>
  );
}
