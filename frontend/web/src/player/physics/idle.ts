/** Seconds after which a robot without a controller starts again from its reference state. */
export const idleEpisodeSecs = 8;

/** Part of each actuator's range that the idle motion uses. */
const amplitude = 0.15;

/** What a robot without a controller does: each actuator sways slowly in its own phase. It is no policy and earns nothing. */
export function idleCtrl(timeSecs: number, ranges: readonly (readonly [number, number])[]): number[] {
  const fadeIn = Math.min(1, timeSecs);
  return ranges.map(([low, high], i) => {
    const rate = 1.1 + 0.37 * (i % 5);
    const sway = Math.sin(rate * timeSecs + 2.4 * i);
    return (low + high) / 2 + ((high - low) / 2) * amplitude * fadeIn * sway;
  });
}
