import { PushStrength } from "../studio/PushStrength";
import type { PushWay } from "../studio/pushing";
import { ArrowIcon } from "../ui/icons";
import styles from "./Pushes.module.css";

const BUTTONS: readonly { readonly way: PushWay; readonly title: string }[] = [
  { way: "forwards", title: "Push all forwards" },
  { way: "left", title: "Push all to their left" },
  { way: "right", title: "Push all to their right" },
  { way: "backwards", title: "Push all backwards" },
];

interface PushesProps {
  /** How much faster each robot gets, in metres per second. */
  readonly strength: number;
  readonly onStrength: (strength: number) => void;
  readonly onPush: (way: PushWay) => void;
}

/** A push of all robots at once, each as it sees the four directions, and as strong as wanted. */
export function Pushes({ strength, onStrength, onPush }: PushesProps) {
  return (
    <fieldset className={styles.pushes}>
      <legend className="hidden-visually">Push all robots</legend>
      <span className={styles.title} aria-hidden="true">
        Push
      </span>
      {BUTTONS.map(({ way, title }) => (
        <button
          key={way}
          type="button"
          className={styles[way]}
          aria-label={title}
          title={`${title} (Shift and an arrow)`}
          onClick={() => onPush(way)}
          data-testid={`push-${way}`}
        >
          <ArrowIcon />
        </button>
      ))}
      <PushStrength strength={strength} onStrength={onStrength} />
    </fieldset>
  );
}
