// @vitest-environment jsdom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useChangedWeights, weightsFrom } from "./changedWeights";

beforeEach(() => sessionStorage.clear());
afterEach(cleanup);

test("given changed weights, when the page is loaded anew, then they are there again, each with its own reward", () => {
  const before = renderHook(() => useChangedWeights("reward-1"));
  act(() => before.result.current[1]("place", 9));
  act(() => before.result.current[1]("calm", 0.5));
  before.unmount();

  expect(renderHook(() => useChangedWeights("reward-1")).result.current[0]).toEqual({ place: 9, calm: 0.5 });
  expect(renderHook(() => useChangedWeights("reward-2")).result.current[0]).toEqual({});
});

test("given several weights that are changed at once, then none of them is lost", () => {
  const { result } = renderHook(() => useChangedWeights("reward-1"));
  act(() => {
    const [, set] = result.current;
    set("place", 9);
    set("calm", 0.5);
  });
  expect(result.current[0]).toEqual({ place: 9, calm: 0.5 });
});

test.each(["", "no JSON", "7", "null", '{"place": "much"}'])(
  "given %o in place of weights, then there are none",
  (text) => {
    expect(weightsFrom(text)).toEqual({});
  },
);
