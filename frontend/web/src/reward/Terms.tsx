import { useState } from "react";
import { formatName, formatReward } from "../format/format";
import type { Reward, RewardTerm } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { seriesColor } from "../studio/seriesColor";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import { RestartIcon } from "../ui/icons";
import { Slider } from "../ui/Slider";
import styles from "./Terms.module.css";
import { WorthBar } from "./WorthBar";
import { changedWeights, sliderRange, worthOf } from "./worth";

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
  const { terms } = reward;
  const changed = changedWeights(terms, studio.weights);
  const { tried } = worthOf(terms, studio.weights);
  return (
    <div className={styles.panel}>
      <div className={styles.worth}>
        <div className={styles.caption}>
          <p>
            {tried
              ? "What each part can count for, on states this robot was seen in. Hatched parts cost."
              : "How the parts are weighted. Hatched ones cost."}
          </p>
          <Button
            variant="quiet"
            size="small"
            icon={<RestartIcon />}
            className={changed.length === 0 ? styles.unneeded : undefined}
            disabled={changed.length === 0}
            onClick={() => {
              for (const { name, weight } of changed) studio.setWeight(name, weight);
            }}
            title={`${changed.length} of ${terms.length} weights are yours`}
            data-testid="reset-weights"
          >
            As written
          </Button>
        </div>
        <WorthBar terms={terms} weights={studio.weights} highlighted={highlighted} onHighlight={onHighlight} />
      </div>
      <ul className={styles.terms} aria-label="Terms of the reward" data-testid="reward-terms">
        {terms.map((term) => (
          <Term
            key={term.name}
            term={term}
            color={seriesColor(studio.termNames, term.name)}
            value={studio.weights[term.name] ?? term.weight}
            highlighted={highlighted === term.name}
            onHighlight={(on) => onHighlight(on ? term.name : "")}
            onChange={(weight) => studio.setWeight(term.name, weight)}
          />
        ))}
      </ul>
    </div>
  );
}

interface TermProps {
  readonly term: RewardTerm;
  readonly color: string;
  readonly value: number;
  readonly highlighted: boolean;
  readonly onHighlight: (on: boolean) => void;
  readonly onChange: (weight: number) => void;
}

function Term({ term, color, value, highlighted, onHighlight, onChange }: TermProps) {
  const { name, explanation, weight: written } = term;
  const title = formatName(name);
  const [low, high] = sliderRange(written, value);
  const changed = value !== written;
  return (
    <li
      className={highlighted ? styles.highlighted : undefined}
      onPointerEnter={() => onHighlight(true)}
      onPointerLeave={() => onHighlight(false)}
      data-term={name}
      data-changed={changed}
    >
      <span className={styles.swatch} style={{ background: color }} aria-hidden="true" />
      <div className={styles.text}>
        <p className={styles.name}>{title}</p>
        {explanation && <p className={styles.explanation}>{explanation}</p>}
      </div>
      <div className={styles.slide}>
        <Slider
          label={`How much ${title} counts`}
          value={value}
          low={low}
          high={high}
          onChange={(weight) => onChange(rounded(weight, written))}
          testId="weight-slider"
        />
        <button
          type="button"
          className={styles.reset}
          onClick={() => onChange(written)}
          hidden={!changed}
          title={`Back to ${formatReward(written)}, as it was written`}
          data-testid="reset-weight"
        >
          was {formatReward(written)}
        </button>
      </div>
      <Weight term={title} value={value} changed={changed} onChange={onChange} onHighlight={onHighlight} />
    </li>
  );
}

/** A slid weight with no more digits than the slider can tell apart, and the written one where it is as good as there. */
function rounded(value: number, written: number): number {
  const fine = Math.abs(written) > 0 ? Math.abs(written) / 100 : 0.01;
  if (Math.abs(value - written) < 1.6 * fine) return written;
  return Number(value.toPrecision(3));
}

interface WeightProps {
  readonly term: string;
  readonly value: number;
  readonly changed: boolean;
  readonly onChange: (weight: number) => void;
  readonly onHighlight: (on: boolean) => void;
}

/** A weight as it is typed; what is no weight (yet) is marked and changes nothing. */
function Weight({ term, value, changed, onChange, onHighlight }: WeightProps) {
  const [draft, setDraft] = useState<string>();
  const typed = draft === undefined ? value : Number.parseFloat(draft);
  return (
    <label className={`${styles.weight} ${changed ? styles.changed : ""}`}>
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
          // More than the contract takes becomes as much as it takes.
          if (Number.isFinite(typed) && !isWeight(typed)) onChange(Math.sign(typed) * LARGEST_WEIGHT);
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
