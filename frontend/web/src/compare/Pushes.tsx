import { LIGHTEST_PUSH, type PushWay, STRONGEST_PUSH } from "../studio/pushing";
import { ArrowIcon } from "../ui/icons";
import { Slider } from "../ui/Slider";
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
      <Slider
        label="Strength"
        value={strength}
        low={LIGHTEST_PUSH}
        high={STRONGEST_PUSH}
        step={0.1}
        shown={`${strength.toFixed(1)}\u00a0m/s`}
        testId="push-strength"
        onChange={onStrength}
      />
    </fieldset>
  );
}
