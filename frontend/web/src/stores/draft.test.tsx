// @vitest-environment jsdom
import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { useDraft, useDraftOver } from "./draft";

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

test("given two changes before anything is drawn again, then the second finds the first", () => {
  const { result } = open("prompt.WalkerWalk");
  act(() => {
    const [, write] = result.current;
    write("walk");
    write((before) => `${before} slowly`);
  });
  expect(result.current[0]).toBe("walk slowly");
});

test("given an original, when all of it is deleted, then it stays deleted until it is called back", () => {
  const { result } = renderHook(() => useDraftOver("source.reward-1", "def reward(): ..."));
  expect(result.current.text).toBe("def reward(): ...");
  act(() => result.current.write(""));
  expect(result.current.text).toBe("");
  act(() => result.current.write("def"));
  expect(result.current.text).toBe("def");
  act(() => result.current.discard());
  expect(result.current.text).toBe("def reward(): ...");
});

test("given an original that was emptied, when another takes its place, then that one is whole", () => {
  const { result, rerender } = renderHook(({ key, text }) => useDraftOver(key, text), {
    initialProps: { key: "source.reward-1", text: "first" },
  });
  act(() => result.current.write(""));
  rerender({ key: "source.reward-2", text: "second" });
  expect(result.current.text).toBe("second");
});
