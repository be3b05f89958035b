// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { expect, test, vi } from "vitest";
import { useRecording } from "./useRecording";

function recorded() {
  const done = vi.fn();
  const failed = vi.fn();
  const stop = vi.fn(async () => new Blob(["film"]));
  const limit = { reach: (): void => undefined };
  const hook = renderHook(() => useRecording(done, failed));
  act(() =>
    hook.result.current.start((onLimit) => {
      limit.reach = onLimit;
      return { stop };
    }),
  );
  return { hook, done, failed, stop, limit };
}

test("given a recording, when the player says that it is long enough, then it is handed over and nothing runs on", async () => {
  const { hook, done, limit } = recorded();
  expect(hook.result.current.running).toBe(true);
  await act(async () => limit.reach());
  expect(hook.result.current.running).toBe(false);
  expect(done).toHaveBeenCalledOnce();
});

test("given a recording, when the page is left, then it ends and nobody gets it", async () => {
  const { hook, done, stop } = recorded();
  await act(async () => hook.unmount());
  expect(stop).toHaveBeenCalledOnce();
  expect(done).not.toHaveBeenCalled();
});

test("given a browser that cannot record, when it is asked to, then the reason is told and nothing runs", () => {
  const failed = vi.fn();
  const { result } = renderHook(() => useRecording(vi.fn(), failed));
  act(() =>
    result.current.start(() => {
      throw new Error("no recorder");
    }),
  );
  expect(failed).toHaveBeenCalledOnce();
  expect(result.current.running).toBe(false);
});
