// @vitest-environment jsdom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { useDraft } from "./draft";

afterEach(() => {
  cleanup();
  sessionStorage.clear();
});

const open = (key: string) => renderHook((props: { key: string }) => useDraft(props.key), { initialProps: { key } });

test("given a text that was being written, when the page is loaded anew, then it is there", () => {
  const before = open("prompt.WalkerWalk");
  act(() => before.result.current[1]("walk like a"));
  before.unmount();
  expect(open("prompt.WalkerWalk").result.current[0]).toBe("walk like a");
});

test("given drafts of two robots, when the page goes from one to the other, then each has its own at once", () => {
  const { result, rerender } = open("prompt.WalkerWalk");
  act(() => result.current[1]("walk"));
  rerender({ key: "prompt.CheetahRun" });
  expect(result.current[0]).toBe("");
  act(() => result.current[1]("run"));
  rerender({ key: "prompt.WalkerWalk" });
  expect(result.current[0]).toBe("walk");
});

test("given a draft, when it is emptied, then nothing is kept of it", () => {
  const { result } = open("prompt.WalkerWalk");
  act(() => result.current[1]("walk"));
  act(() => result.current[1](""));
  expect(sessionStorage.length).toBe(0);
});
