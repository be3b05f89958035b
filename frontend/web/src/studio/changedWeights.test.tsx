// @vitest-environment jsdom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useChangedWeights, weightsFrom } from "./changedWeights";

beforeEach(() => sessionStorage.clear());
afterEach(cleanup);

test("given changed weights, when the page is loaded anew, then they are there again, each with its own reward", () => {
  const before = renderHook(() => useChangedWeights("reward-1", undefined));
  act(() => before.result.current.set("place", 9));
  act(() => before.result.current.set("calm", 0.5));
  before.unmount();

  expect(renderHook(() => useChangedWeights("reward-1", undefined)).result.current.weights).toEqual({
    place: 9,
    calm: 0.5,
  });
  expect(renderHook(() => useChangedWeights("reward-2", undefined)).result.current.weights).toEqual({});
});

test("given several weights that are changed at once, then none of them is lost", () => {
  const { result } = renderHook(() => useChangedWeights("reward-1", undefined));
  act(() => {
    const { set } = result.current;
    set("place", 9);
    set("calm", 0.5);
  });
  expect(result.current.weights).toEqual({ place: 9, calm: 0.5 });
});

test("given weights that a run was started with, then they count where no run is shown, and a run is shown with its own until one is changed", () => {
  const open = (trained?: Record<string, number>) => renderHook(() => useChangedWeights("reward-1", trained));
  const first = open();
  act(() => first.result.current.set("place", 9));
  act(() => first.result.current.started({ place: 9, calm: 1 }));
  expect(first.result.current.weights).toEqual({ place: 9 });
  const { result } = open({ place: 2, calm: 1 });
  expect(result.current.weights).toEqual({});
  act(() => {
    result.current.set("calm", 3);
    result.current.set("high", 4);
  });
  expect(result.current.weights).toEqual({ place: 2, calm: 3, high: 4 });
});

test.each(["", "no JSON", "7", "null", '{"place": "much"}'])(
  "given %o in place of weights, then there are none",
  (text) => {
    expect(weightsFrom(text)).toEqual({});
  },
);
