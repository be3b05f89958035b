import { Slider } from "../ui/Slider";
import { LIGHTEST_PUSH, STRONGEST_PUSH } from "./pushing";

interface PushStrengthProps {
  /** How much faster a push makes the robot, in metres per second. */
  readonly strength: number;
  readonly onStrength: (strength: number) => void;
}

/** How strong the next push is. */
export function PushStrength({ strength, onStrength }: PushStrengthProps) {
  return (
    <Slider
      label="Strength"
      low={LIGHTEST_PUSH}
      high={STRONGEST_PUSH}
      step={0.1}
      value={strength}
      shown={`${strength.toFixed(1)}\u00a0m/s`}
      testId="push-strength"
      onChange={onStrength}
    />
  );
}
