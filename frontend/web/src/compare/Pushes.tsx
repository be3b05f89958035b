import { useState } from "react";
import { Slider } from "../ui/Slider";
import styles from "./Pushes.module.css";

/** In the scene's frame, in which robots start facing along x. */
const DIRECTIONS = [
  { name: "forwards", arrow: "↑", direction: [1, 0, 0] },
  { name: "to the left", arrow: "←", direction: [0, 1, 0] },
  { name: "to the right", arrow: "→", direction: [0, -1, 0] },
  { name: "backwards", arrow: "↓", direction: [-1, 0, 0] },
] as const;

const WEAKEST = 0.2;
const STRONGEST = 3;

interface PushesProps {
  /** One push of all robots, `speed` in metres a second. */
  readonly onPush: (direction: readonly [number, number, number], speed: number) => void;
}

/** A push of all robots at once, in four directions and as strong as wanted. */
export function Pushes({ onPush }: PushesProps) {
  const [speed, setSpeed] = useState(0.8);
  return (
    <fieldset className={styles.pushes}>
      <legend className="hidden-visually">Push all robots</legend>
      <span className={styles.title} aria-hidden="true">
        Push
      </span>
      {DIRECTIONS.map(({ name, arrow, direction }) => (
        <button
          key={name}
          type="button"
          aria-label={`Push all ${name}`}
          title={`Push ${name}`}
          onClick={() => onPush(direction, speed)}
          data-testid={`push-${name.split(" ").at(-1)}`}
        >
          {arrow}
        </button>
      ))}
      <Slider
        label="Strength"
        value={speed}
        low={WEAKEST}
        high={STRONGEST}
        step={0.1}
        shown={`${speed.toFixed(1)} m/s`}
        testId="push-strength"
        onChange={setSpeed}
      />
    </fieldset>
  );
}
