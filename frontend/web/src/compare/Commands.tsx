import { formatName } from "../format/format";
import { Slider } from "../ui/Slider";
import styles from "./Commands.module.css";
import type { CommandSpec } from "./SideBySide";

type Values = Readonly<Record<string, readonly number[]>>;

interface CommandsProps {
  readonly specs: readonly CommandSpec[];
  /** Null while the environment commands by itself. */
  readonly values: Values | null;
  readonly onChange: (values: Values | null) => void;
}

/** What all robots are told to do at once: by the environment as in training, or by hand. */
export function Commands({ specs, values, onChange }: CommandsProps) {
  const inRange = (low: number, high: number) => Math.min(high, Math.max(low, 0));
  const still: Values = Object.fromEntries(
    specs.map(({ field, elements }) => [field, elements.map(({ low, high }) => inRange(low, high))]),
  );
  return (
    <details className={styles.commands} data-testid="compare-commands">
      <summary>Commands</summary>
      <div className={styles.sheet}>
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={values !== null}
            onChange={(event) => onChange(event.target.checked ? still : null)}
          />
          Command them by hand
        </label>
        {specs.flatMap(({ field, elements }) =>
          elements.map(({ name, unit, low, high }, index) => {
            const value = (values ?? still)[field]?.[index] ?? 0;
            return (
              <Slider
                key={`${field} ${name}`}
                label={formatName(name)}
                value={value}
                low={low}
                high={high}
                shown={`${value.toFixed(2)} ${unit}`}
                disabled={values === null}
                onChange={(next) => {
                  const before = (values ?? still)[field] ?? [];
                  onChange({ ...(values ?? still), [field]: before.map((each, at) => (at === index ? next : each)) });
                }}
              />
            );
          }),
        )}
      </div>
    </details>
  );
}
