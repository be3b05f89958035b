import { useId } from "react";
import fieldStyles from "../ui/Field.module.css";
import styles from "./StartSettings.module.css";
import { type Choice, LENGTHS, RENTED_GPU } from "./spec";

interface StartSettingsProps {
  readonly choice: Choice;
  /** Whether lengths other than the standard one can be reckoned yet. */
  readonly reckoned: boolean;
  readonly onChange: (change: Partial<Choice>) => void;
}

/** How long to practise, and where. */
export function StartSettings({ choice, reckoned, onChange }: StartSettingsProps) {
  return (
    <div className={styles.settings}>
      <Segments
        legend="How long to practise"
        options={LENGTHS.map(({ name }) => ({ value: name, label: name, disabled: name !== "Standard" && !reckoned }))}
        chosen={choice.length}
        onChoose={(length) => onChange({ length })}
      />
      <Segments
        legend="Where to train"
        options={[
          { value: "here", label: "On this machine" },
          { value: "rented", label: `Rented ${RENTED_GPU}` },
        ]}
        chosen={choice.rented ? "rented" : "here"}
        onChoose={(where) => onChange({ rented: where === "rented" })}
      />
    </div>
  );
}

interface SegmentsProps<T extends string> {
  readonly legend: string;
  readonly options: readonly { readonly value: T; readonly label: string; readonly disabled?: boolean }[];
  readonly chosen: T;
  readonly onChoose: (value: T) => void;
}

function Segments<T extends string>({ legend, options, chosen, onChoose }: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset className={styles.segments}>
      <legend className="hidden-visually">{legend}</legend>
      {options.map(({ value, label, disabled }) => (
        <label key={value} data-testid={`choose-${value.toLowerCase()}`}>
          <input
            type="radio"
            name={name}
            checked={value === chosen}
            disabled={disabled}
            onChange={() => onChoose(value)}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface MoreSettingsProps {
  readonly choice: Choice;
  /** What the service says against varied robots here; empty for nothing. */
  readonly variedProblem: string;
  readonly onChange: (change: Partial<Choice>) => void;
}

const LARGEST_SEED = 2 ** 31;

/** What most people leave as it is. */
export function MoreSettings({ choice, variedProblem, onChange }: MoreSettingsProps) {
  const id = useId();
  return (
    <details className={styles.more}>
      <summary>More settings</summary>
      <label className={styles.seed}>
        Seed of all chance
        <input
          className={fieldStyles.input}
          type="number"
          min={0}
          step={1}
          value={choice.seed}
          onChange={(event) => {
            const seed = event.target.valueAsNumber;
            if (Number.isInteger(seed) && seed >= 0 && seed < LARGEST_SEED) onChange({ seed });
          }}
        />
      </label>
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={choice.varied}
          aria-invalid={variedProblem !== ""}
          aria-describedby={`${id}-varied`}
          onChange={(event) => onChange({ varied: event.target.checked })}
          data-testid="varied"
        />
        <span>
          Vary the robot and the ground
          <small>
            Each copy has masses, friction and motors of its own, so that the policy bears what differs in reality.
          </small>
        </span>
      </label>
      <p id={`${id}-varied`} className={fieldStyles.problem} role="alert">
        {variedProblem}
      </p>
    </details>
  );
}
