import { formatName, formatPercent } from "../format/format";
import type { RewardTerm } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { seriesColor } from "../studio/seriesColor";
import styles from "./WorthBar.module.css";
import { worthOf } from "./worth";

interface WorthBarProps {
  readonly terms: readonly RewardTerm[];
  readonly weights: Readonly<Record<string, number>>;
  readonly highlighted?: string;
  readonly onHighlight?: (term: string) => void;
  /** Names under the bar, for where they are not listed beside it. */
  readonly legend?: boolean;
}

/** What each term counts for beside the others, in its own colour; costs are hatched. */
export function WorthBar({ terms, weights, highlighted = "", onHighlight, legend = false }: WorthBarProps) {
  const names = terms.map(({ name }) => name);
  const worths = worthOf(terms, weights);
  return (
    <div className={styles.worth}>
      <ul className={styles.bar} aria-label="What each term counts for">
        {worths.terms.map(({ name, share, cost }) => (
          <li
            key={name}
            className={`${cost ? styles.cost : ""} ${highlighted !== "" && highlighted !== name ? styles.faded : ""}`}
            style={{ flexGrow: share, "--color": seriesColor(names, name) } as React.CSSProperties}
            title={`${formatName(name)}: ${formatPercent(share)}${cost ? ", a cost" : ""}`}
            aria-label={`${formatName(name)}: ${formatPercent(share)}${cost ? ", a cost" : ""}`}
            onPointerEnter={() => onHighlight?.(name)}
            onPointerLeave={() => onHighlight?.("")}
          />
        ))}
      </ul>
      {legend && (
        <ul className={styles.legend} aria-hidden="true">
          {worths.terms.map(({ name, share, cost }) => (
            <li key={name} style={{ "--color": seriesColor(names, name) } as React.CSSProperties}>
              <span className={cost ? styles.cost : ""} />
              {formatName(name)} <b className="number">{formatPercent(share)}</b>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
