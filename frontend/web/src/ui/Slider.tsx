import { type ReactNode, useId } from "react";
import styles from "./Slider.module.css";

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Smallest change; a hundredth of the range if left out. */
  readonly step?: number;
  /** The value in words beside the slider, such as `0.50 m/s`. */
  readonly shown?: ReactNode;
  readonly disabled?: boolean;
  readonly testId?: string;
  readonly onChange: (value: number) => void;
  /** The person let go. */
  readonly onRelease?: () => void;
}

/** A number within a range, by name, slider and value. */
export function Slider({ label, value, low, high, step, shown, disabled, testId, onChange, onRelease }: SliderProps) {
  const id = useId();
  const part = high > low ? (value - low) / (high - low) : 0;
  return (
    <div className={styles.slider}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="range"
        min={low}
        max={high}
        step={step ?? (high - low) / 100}
        value={value}
        disabled={disabled}
        style={{ "--part": `${100 * Math.min(1, Math.max(0, part))}%` } as React.CSSProperties}
        onChange={(event) => onChange(event.target.valueAsNumber)}
        onPointerUp={onRelease}
        // A finger that turns out to scroll the page is never lifted here.
        onPointerCancel={onRelease}
        onBlur={onRelease}
        onKeyUp={onRelease}
        data-testid={testId}
      />
      {shown !== undefined && <output className="number">{shown}</output>}
    </div>
  );
}
