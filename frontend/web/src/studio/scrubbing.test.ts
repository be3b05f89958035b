// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { heightsOf, markByKey, nearest, placesOf, useScrub } from "./scrubbing";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const mark = (envSteps: number, episodeReturn?: number) => ({
  policyId: `policy-${envSteps}`,
  envSteps: BigInt(envSteps),
  episodeReturn,
});

test("given checkpoints, when they are laid out, then their steps are their places and their returns their heights", () => {
  const marks = [mark(100, 10), mark(200), mark(500, 30)];
  expect(placesOf(marks)).toEqual([0, 0.25, 1]);
  expect(heightsOf(marks)).toEqual([0, undefined, 1]);
  expect(placesOf([mark(100)])).toEqual([1]);
  expect(heightsOf([mark(100, 5), mark(200, 5)])).toEqual([0.5, 0.5]);
});

test("given returns that hardly differ, when they are drawn, then they stand on nearly one height", () => {
  const [first = 0, last = 0] = heightsOf([mark(100, 2005), mark(200, 2003)]);
  expect(first).toBeGreaterThan(last);
  expect(first - last).toBeLessThan(0.02);
});

test("given a pointer between two checkpoints, when it is let down, then the nearer one is meant", () => {
  expect(nearest([0, 0.25, 1], 0.6)).toBe(1);
  expect(nearest([0, 0.25, 1], 0.7)).toBe(2);
});

test("given keys, when they lead along the checkpoints, then they stop at both ends", () => {
  expect(markByKey("ArrowRight", 3, 30)).toBe(4);
  expect(markByKey("PageDown", 2, 30)).toBe(0);
  expect(markByKey("End", 0, 30)).toBe(29);
  expect(markByKey("a", 0, 30)).toBeUndefined();
});

test("given a person who passes over checkpoints, when they stay or let go, then only the last one plays", () => {
  const played: string[] = [];
  const { result } = renderHook(() => useScrub((policyId) => played.push(policyId)));
  act(() => {
    for (const policyId of ["a", "b", "c"]) result.current.scrub(policyId);
  });
  expect(result.current.asked).toBe("c");
  expect(played).toEqual([]);
  act(() => void vi.advanceTimersByTime(1000));
  expect(played).toEqual(["c"]);
  expect(result.current.asked).toBe("");

  act(() => result.current.scrub("d"));
  act(() => result.current.settle());
  act(() => void vi.advanceTimersByTime(1000));
  expect(played).toEqual(["c", "d"]);
});
