import { useEffect, useRef, useState } from "react";

/** How long a person stays at a checkpoint before its policy is loaded, in milliseconds. */
const SETTLING_MS = 140;

/** A checkpoint's place on the slider. */
export interface Mark {
  readonly policyId: string;
  readonly envSteps: bigint;
  readonly episodeReturn?: number | undefined;
}

/** Where the marks stand from left to right, from 0 to 1, by their steps; evenly where all have the same. */
export function placesOf(marks: readonly Mark[]): readonly number[] {
  const [first, last] = [Number(marks[0]?.envSteps ?? 0), Number(marks.at(-1)?.envSteps ?? 0)];
  if (marks.length === 1) return [1];
  return marks.map(({ envSteps }, index) =>
    last > first ? (Number(envSteps) - first) / (last - first) : index / (marks.length - 1),
  );
}

/** Index of the mark nearest to a place. */
export function nearest(places: readonly number[], place: number): number {
  let best = 0;
  for (const [index, each] of places.entries()) {
    if (Math.abs(each - place) < Math.abs((places[best] ?? 0) - place)) best = index;
  }
  return best;
}

/** Part of the largest return that fills the height at least: what hardly differs must not look like a fall. */
const LEAST_SPAN = 0.1;

/** How high each return is between the lowest and the highest, from 0 to 1; undefined where there is none. */
export function heightsOf(marks: readonly Mark[]): readonly (number | undefined)[] {
  const returns = marks.flatMap(({ episodeReturn }) => (episodeReturn === undefined ? [] : [episodeReturn]));
  const [low, high] = [Math.min(...returns), Math.max(...returns)];
  const span = Math.max(high - low, LEAST_SPAN * Math.max(Math.abs(low), Math.abs(high)));
  return marks.map(({ episodeReturn }) => {
    if (episodeReturn === undefined) return undefined;
    return span > 0 ? 0.5 + (episodeReturn - (low + high) / 2) / span : 0.5;
  });
}

/** The mark to which a key leads from `index` among `count`; undefined for keys that lead nowhere. */
export function markByKey(key: string, index: number, count: number): number | undefined {
  const stride = Math.max(2, Math.round(count / 10));
  const steps: Readonly<Record<string, number>> = {
    ArrowLeft: -1,
    ArrowDown: -1,
    ArrowRight: 1,
    ArrowUp: 1,
    PageDown: -stride,
    PageUp: stride,
    Home: -count,
    End: count,
  };
  const step = steps[key];
  return step === undefined ? undefined : Math.min(count - 1, Math.max(0, index + step));
}

/** Lets a person pass over checkpoints without loading each: `play` hears only of the one where they stay or let go. */
export function useScrub(play: (policyId: string) => void) {
  const [asked, setAsked] = useState("");
  const waiting = useRef<{ readonly policyId: string; readonly timer: ReturnType<typeof setTimeout> }>(undefined);
  const latestPlay = useRef(play);
  latestPlay.current = play;

  function settle() {
    const last = waiting.current;
    if (!last) return;
    clearTimeout(last.timer);
    waiting.current = undefined;
    setAsked("");
    latestPlay.current(last.policyId);
  }

  useEffect(() => () => clearTimeout(waiting.current?.timer), []);

  return {
    /** Where the person is, while that is not played yet; else empty. */
    asked,
    scrub(policyId: string) {
      clearTimeout(waiting.current?.timer);
      setAsked(policyId);
      waiting.current = { policyId, timer: setTimeout(settle, SETTLING_MS) };
    },
    settle,
  };
}
