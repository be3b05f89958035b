import type { JointSpec } from "../player";

const DEGREES = 180 / Math.PI;
/** How far a slider goes for a slide joint that nothing limits, in metres. */
const FREE_SLIDE_M = 2;
/** A range below this, in metres, is told in centimetres. */
const SMALL_RANGE_M = 0.5;

/** How far a joint's slider goes. */
export function rangeOf({ kind, low, high, limited }: JointSpec): readonly [low: number, high: number] {
  if (limited && high > low) return [low, high];
  return kind === "hinge" ? [-Math.PI, Math.PI] : [-FREE_SLIDE_M, FREE_SLIDE_M];
}

/** A joint's value for people: degrees for hinges, centimetres or metres for slides. */
export function jointValue(spec: JointSpec, value: number): string {
  const fixed = (shown: number, digits: number) =>
    shown
      .toFixed(digits)
      .replace(/^-(?=[0.]*$)/, "")
      .replace("-", "−");
  if (spec.kind === "hinge") return `${fixed(value * DEGREES, 0)}°`;
  const [low, high] = rangeOf(spec);
  return high - low < SMALL_RANGE_M ? `${fixed(value * 100, 1)}\u00a0cm` : `${fixed(value, 2)}\u00a0m`;
}
