import { useCallback, useSyncExternalStore } from "react";
import type { Store } from "../stores/store";
import type { EpisodeFacts } from "./episodeFacts";
import styles from "./StageFacts.module.css";

interface StageFactsProps {
  readonly facts: Store<EpisodeFacts>;
  readonly speed: number;
  /** Robots on legs fall; for others an episode just ends early. */
  readonly falls: boolean;
}

/** In small print on the stage: that the robot fell, and that this machine is too slow for it. */
export function StageFacts({ facts, speed, falls }: StageFactsProps) {
  // What is shown changes rarely, the facts with every tick.
  const read = useCallback(() => {
    const { endedEarlyAfterSecs, slowFactor } = facts.get();
    const ended =
      endedEarlyAfterSecs === undefined
        ? ""
        : `${falls ? "Fell" : "Ended early"} after ${endedEarlyAfterSecs.toFixed(1)}\u00a0s`;
    const slow =
      slowFactor === undefined
        ? ""
        : `Runs at ${slowFactor.toFixed(slowFactor < 0.1 ? 2 : 1)}× of real time${speed === 1 ? "" : ` instead of ${speed}×`}`;
    return `${ended}\n${slow}`;
  }, [facts, falls, speed]);
  const lines = useSyncExternalStore(facts.subscribe, read).split("\n").filter(Boolean);
  return (
    <div className={styles.facts} data-testid="stage-facts">
      {lines.map((line) => (
        <span key={line} className="number">
          {line}
        </span>
      ))}
    </div>
  );
}
