/** Robots that are shown side by side at most: what one worker simulates in time, and an eye can follow. */
export const MOST_LANES = 4;

/** The lanes that an address names. */
export interface Lanes {
  /** Ids of their policies, from left to right. */
  readonly ids: readonly string[];
  /** How many more the address names than can be shown. */
  readonly leftOut: number;
}

/** The first four of the policies that an address names. */
export function lanesFrom(policyIds: readonly string[]): Lanes {
  const ids = policyIds.slice(0, MOST_LANES);
  return { ids, leftOut: policyIds.length - ids.length };
}

/** As `Place.compared` has it. */
export function comparedOf(ids: readonly string[]): string {
  return ids.join(",");
}

/** With one more at the end; unchanged where it is there already, or no room is left. */
export function withLane(ids: readonly string[], policyId: string): readonly string[] {
  return ids.includes(policyId) || ids.length >= MOST_LANES ? ids : [...ids, policyId];
}

/** Without the lane at this place. */
export function withoutLane(ids: readonly string[], lane: number): readonly string[] {
  return ids.filter((_, index) => index !== lane);
}

/** With the lane taken from one place and put in at another; unchanged where either is none. */
export function withLaneMoved(ids: readonly string[], from: number, to: number): readonly string[] {
  const moved = ids[from];
  if (moved === undefined || from === to || to < 0 || to >= ids.length) return ids;
  const others = withoutLane(ids, from);
  return [...others.slice(0, to), moved, ...others.slice(to)];
}

/** What a lane is called in short, by its place: A to D. */
export function laneLetter(lane: number): string {
  return "ABCD"[lane] ?? "";
}

/** The colour of a lane's frame, bars, row and polygon. */
export function laneColor(lane: number): string {
  return `var(--series-${lane + 1})`;
}
