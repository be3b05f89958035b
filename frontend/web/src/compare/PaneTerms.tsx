import { formatDuration, formatName, formatReward } from "../format/format";
import type { PlayerTick } from "../player";
import { useStore } from "../stores/store";
import type { LiveLanes } from "./live";
import styles from "./PaneTerms.module.css";

interface PaneTermsProps {
  readonly live: LiveLanes;
  readonly place: number;
}

/** What one robot has earned in this episode, and earns at this moment; the bars of all panes have one scale. */
export function PaneTerms({ live, place }: PaneTermsProps) {
  const tick = useStore(live.tickOf(place));
  const scale = useStore(live.scale);
  const leads = useStore(live.leader) === place;
  const terms = Object.entries(tick?.terms ?? {});
  return (
    <div className={styles.terms}>
      <div className={styles.total}>
        <output className="number" data-testid="lane-return">
          {tick?.driven ? formatReward(tick.episodeReturn) : "–"}
        </output>
        <span className={leads ? styles.leads : styles.state} data-testid="lane-state">
          {leads ? "leads" : ""}
        </span>
        <small className="number">{stateOf(tick)}</small>
      </div>
      <ul
        className={styles.list}
        aria-label="Terms"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
        tabIndex={0}
      >
        {terms.map(([name, value]) => (
          <li key={name} title={formatName(name)}>
            <span className={styles.name}>{formatName(name)}</span>
            <span className={`${styles.value} number`}>{fixed(value)}</span>
            <span className={styles.bar} aria-hidden="true">
              <span
                className={value < 0 ? styles.cost : undefined}
                style={{ transform: `scaleX(${scale > 0 ? Math.min(1, Math.abs(value) / scale) : 0})` }}
              />
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Where its episode stands, in words. */
export function stateOf(tick: PlayerTick | undefined): string {
  if (!tick) return "about to begin";
  if (!tick.driven) return "not driven";
  if (tick.ended === "done") return `out after ${seconds(tick.timeSecs)}`;
  if (tick.ended === "time") return `lasted all ${formatDuration(tick.timeSecs)}`;
  return `for ${seconds(tick.timeSecs)}`;
}

function seconds(secs: number): string {
  return `${secs.toFixed(1)}\u00a0s`;
}

/** Two decimals always, so that nothing jumps while it changes fifteen times a second. */
function fixed(value: number): string {
  return (Math.abs(value) < 0.005 ? 0 : value).toFixed(2).replace("-", "−");
}
