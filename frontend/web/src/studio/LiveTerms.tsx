import { type RefObject, useEffect, useId, useRef, useState } from "react";
import { formatFixed, formatName, formatReward } from "../format/format";
import type { PlayerTick } from "../player";
import { type Store, useStore } from "../stores/store";
import styles from "./LiveTerms.module.css";
import { seriesColor } from "./seriesColor";
import { FORGETTING } from "./termScale";

interface LiveTermsProps {
  readonly ticks: Store<PlayerTick | undefined>;
  readonly termNames: readonly string[];
  readonly highlighted: string;
  readonly onHighlight: (term: string) => void;
}

/** What the robot earns at this moment, term by term, and in this episode so far; nothing while nothing earns. */
export function LiveTerms({ driven, ...terms }: LiveTermsProps & { readonly driven: boolean }) {
  return driven ? <Earned {...terms} /> : null;
}

function Earned({ ticks, termNames, highlighted, onHighlight }: LiveTermsProps) {
  const tick = useStore(ticks);
  const lastScale = useRef(0);
  const [open, setOpen] = useState(false);
  const listId = useId();
  const list = useRef<HTMLUListElement>(null);
  const hidden = useHidden(list);
  const played = Object.keys(tick?.terms ?? {});
  const names = [
    ...termNames.filter((name) => played.includes(name)),
    ...played.filter((name) => !termNames.includes(name)),
  ];
  // One scale for all terms, so that the lengths of their bars compare. It forgets a rare large value within seconds.
  const largest = Math.max(...names.map((name) => Math.abs(tick?.terms[name] ?? 0)), 1e-6);
  const scale = Math.max(largest, lastScale.current * FORGETTING);
  lastScale.current = scale;
  return (
    <section className={styles.terms} aria-label="Reward at this moment">
      <dl className={styles.totals}>
        <div>
          <dt>This episode</dt>
          <dd className="number" data-testid="episode-return">
            {tick ? formatReward(tick.episodeReturn) : "–"}
          </dd>
        </div>
        <div>
          <dt>Each step</dt>
          <dd className="number">{tick ? formatFixed(tick.reward) : "–"}</dd>
        </div>
      </dl>
      {names.length > 0 && (
        <button
          type="button"
          className={styles.more}
          aria-expanded={open}
          aria-controls={listId}
          onClick={() => setOpen(!open)}
        >
          {open ? "Hide terms" : names.length === 1 ? "1 term" : `${names.length} terms`}
        </button>
      )}
      <ul
        ref={list}
        id={listId}
        className={styles.list}
        data-open={open || undefined}
        data-above={hidden.above || undefined}
        data-below={hidden.below || undefined}
        // What scrolls is to be scrolled by keys too.
        {...(hidden.above || hidden.below ? { tabIndex: 0, "aria-label": "Terms" } : {})}
      >
        {names.map((name) => {
          const value = tick?.terms[name] ?? 0;
          const share = Math.min(1, Math.abs(value) / scale);
          return (
            <li
              key={name}
              className={highlighted === name ? styles.highlighted : undefined}
              onPointerEnter={() => onHighlight(name)}
              onPointerLeave={() => onHighlight("")}
            >
              <span className={styles.name}>{formatName(name)}</span>
              <span className={styles.bar} aria-hidden="true">
                <span
                  style={{
                    transform: `scaleX(${share})`,
                    background: value < 0 ? "var(--danger)" : seriesColor(names, name),
                  }}
                />
              </span>
              <span className={`${styles.value} number`}>{formatFixed(value)}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Whether a list that scrolls has more above or below what is seen of it. */
function useHidden(list: RefObject<HTMLElement | null>): { readonly above: boolean; readonly below: boolean } {
  const [hidden, setHidden] = useState({ above: false, below: false });
  useEffect(() => {
    const element = list.current;
    if (!element) return;
    const look = () => {
      const above = element.scrollTop > 1;
      const below = element.scrollTop + element.clientHeight < element.scrollHeight - 1;
      setHidden((before) => (before.above === above && before.below === below ? before : { above, below }));
    };
    look();
    const sizes = new ResizeObserver(look);
    sizes.observe(element);
    const rows = new MutationObserver(look);
    rows.observe(element, { childList: true });
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      sizes.disconnect();
      rows.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [list]);
  return hidden;
}
