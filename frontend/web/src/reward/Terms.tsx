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
          <label className={styles.weight}>
            <span aria-hidden="true">×</span>
            <span className="hidden-visually">Weight of {formatName(name)}</span>
            <input
              type="number"
              step="any"
              className="number"
              value={studio.weights[name] ?? 1}
              onFocus={() => onHighlight(name)}
              onBlur={() => onHighlight("")}
              onChange={(event) => {
                const weight = event.target.valueAsNumber;
                if (Number.isFinite(weight)) studio.setWeight(name, weight);
              }}
            />
          </label>
        </li>
      ))}
    </ul>
  );
}
