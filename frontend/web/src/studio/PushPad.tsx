import { ArrowIcon } from "../ui/icons";
import styles from "./PushPad.module.css";
import { PushStrength } from "./PushStrength";
import type { PushWay } from "./pushing";

interface PushPadProps {
  readonly ready: boolean;
  /** How much faster the robot gets, in metres per second. */
  readonly strength: number;
  readonly onStrength: (strength: number) => void;
  readonly onPush: (way: PushWay) => void;
}

const BUTTONS: readonly { readonly way: PushWay; readonly label: string }[] = [
  { way: "forwards", label: "Push it forwards" },
  { way: "left", label: "Push it to its left" },
  { way: "right", label: "Push it to its right" },
  { way: "backwards", label: "Push it backwards" },
];

/** A compass of pushes, as the robot sees them. */
export function PushPad({ ready, strength, onStrength, onPush }: PushPadProps) {
  return (
    <>
      <div className={styles.compass}>
        {BUTTONS.map(({ way, label }) => (
          <button
            key={way}
            type="button"
            className={styles[way]}
            aria-label={label}
            title={label}
            disabled={!ready}
            onClick={() => onPush(way)}
            data-testid={`push-${way}`}
          >
            <ArrowIcon />
          </button>
        ))}
        <span className={styles.robot} aria-hidden="true" />
      </div>
      <PushStrength strength={strength} onStrength={onStrength} />
      <p className={styles.hint}>
        A push makes the robot this much faster at once. You can also drag any part of it with the pointer.
        <span className={styles.keys}>
          {" "}
          Keys: <kbd>Shift</kbd> and an arrow.
        </span>
      </p>
    </>
  );
}
