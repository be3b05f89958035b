const SERIES = 8;

/** The colour of a term: the same in the reward, the curves and under the robot. */
export function seriesColor(names: readonly string[], name: string): string {
  const place = names.indexOf(name);
  return `var(--series-${(place < 0 ? SERIES - 1 : place % SERIES) + 1})`;
}
