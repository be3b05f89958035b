import type { MenagerieScene } from "../gen/tabrl/scene/v1/menagerie_pb";
import styles from "./MenagerieCard.module.css";
import { Thumbnail } from "./Thumbnail";

interface MenagerieCardProps {
  readonly scene: MenagerieScene;
  /** Whether an environment is being made of this one. */
  readonly adding: boolean;
  /** Whether one is being made of any. */
  readonly disabled: boolean;
  readonly onChoose: () => void;
}

/** A robot that becomes an environment when it is chosen. */
export function MenagerieCard({ scene: { title, picture, licences }, adding, disabled, onChoose }: MenagerieCardProps) {
  return (
    <button
      type="button"
      className={styles.card}
      aria-disabled={disabled}
      aria-busy={adding}
      onClick={disabled ? undefined : onChoose}
    >
      <Thumbnail artifact={picture} />
      <span className={styles.title}>{title}</span>
      <span className={styles.facts} role={adding ? "status" : undefined}>
        {adding ? "Reading the robot…" : licences.join(", ") || "Licence not known"}
      </span>
      {adding && <progress className={styles.progress} aria-label={`Reading ${title}`} />}
    </button>
  );
}
