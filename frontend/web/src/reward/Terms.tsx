import { useState } from "react";
import { formatName } from "../format/format";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { seriesColor } from "../studio/seriesColor";
import type { StudioState } from "../studio/useStudio";
import styles from "./Terms.module.css";

interface TermsProps {
  readonly studio: StudioState;
  readonly reward: Reward;
  readonly highlighted: string;
  readonly onHighlight: (term: string) => void;
}

/** Largest weight that the contract takes, either way. */
const LARGEST_WEIGHT = 1_000_000;

/** The terms of a reward, what each is for and how much it counts; the weights may be changed without touching the source. */
export function Terms({ studio, reward, highlighted, onHighlight }: TermsProps) {
  return (
    <ul className={styles.terms} aria-label="Terms of the reward" data-testid="reward-terms">
      {reward.terms.map(({ name, explanation }) => (
        <li
          key={name}
          className={highlighted === name ? styles.highlighted : undefined}
          onPointerEnter={() => onHighlight(name)}
          onPointerLeave={() => onHighlight("")}
          data-term={name}
        >
          <span
            className={styles.swatch}
            style={{ background: seriesColor(studio.termNames, name) }}
            aria-hidden="true"
          />
          <div className={styles.text}>
            <p className={styles.name}>{formatName(name)}</p>
            {explanation && <p className={styles.explanation}>{explanation}</p>}
          </div>
          <Weight
            term={formatName(name)}
            value={studio.weights[name] ?? 1}
            onChange={(weight) => studio.setWeight(name, weight)}
            onHighlight={(on) => onHighlight(on ? name : "")}
          />
        </li>
      ))}
    </ul>
  );
}

interface WeightProps {
  readonly term: string;
  readonly value: number;
  readonly onChange: (weight: number) => void;
  readonly onHighlight: (on: boolean) => void;
}

/** A weight as it is typed; what is no weight (yet) is marked and changes nothing. */
function Weight({ term, value, onChange, onHighlight }: WeightProps) {
  const [draft, setDraft] = useState<string>();
  const typed = draft === undefined ? value : Number.parseFloat(draft);
  return (
    <label className={styles.weight}>
      <span aria-hidden="true">×</span>
      <span className="hidden-visually">Weight of {term}</span>
      <input
        type="number"
        step="any"
        min={-LARGEST_WEIGHT}
        max={LARGEST_WEIGHT}
        className="number"
        value={draft ?? value}
        aria-invalid={!isWeight(typed)}
        title={isWeight(typed) ? undefined : "A number from −1,000,000 to 1,000,000"}
        onFocus={() => onHighlight(true)}
        onBlur={() => {
          setDraft(undefined);
          onHighlight(false);
        }}
        onChange={(event) => {
          setDraft(event.target.value);
          if (isWeight(event.target.valueAsNumber)) onChange(event.target.valueAsNumber);
        }}
      />
    </label>
  );
}

function isWeight(value: number): boolean {
  return Number.isFinite(value) && Math.abs(value) <= LARGEST_WEIGHT;
}
