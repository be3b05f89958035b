import { keyNames } from "../app/keys";
import { SHORTCUTS } from "./keys";
import { type Playback, SPEEDS } from "./usePlayback";

interface SpeedChoiceProps {
  readonly playback: Playback;
  readonly className?: string | undefined;
  readonly testId: string;
}

const KEYS = [SHORTCUTS.slower, SHORTCUTS.faster].flatMap((key) => keyNames(key)).join(" and ");

/** How fast time passes for the robot; slow motion is marked by `data-slow`. */
export function SpeedChoice({ playback: { speed, setSpeed }, className, testId }: SpeedChoiceProps) {
  return (
    <label className={className} data-slow={speed < 1 || undefined}>
      <span className="hidden-visually">Speed</span>
      <select
        value={speed}
        title={`Speed (${KEYS})`}
        onChange={(event) => setSpeed(Number(event.target.value))}
        data-testid={testId}
      >
        {SPEEDS.map((value) => (
          <option key={value} value={value}>
            {value}×
          </option>
        ))}
      </select>
    </label>
  );
}
