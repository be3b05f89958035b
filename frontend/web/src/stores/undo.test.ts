import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createUndo, UNDO_MS } from "./undo";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function deletion() {
  return { commit: vi.fn(), restore: vi.fn() };
}

test("given a deletion, when nobody takes it back, then it is carried out once after a while", () => {
  const undo = createUndo();
  const { commit, restore } = deletion();
  undo.offer("Policy deleted", commit, restore);
  expect(undo.pending.get()?.text).toBe("Policy deleted");

  vi.advanceTimersByTime(UNDO_MS - 1);
  expect(commit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(UNDO_MS);

  expect(commit).toHaveBeenCalledTimes(1);
  expect(restore).not.toHaveBeenCalled();
  expect(undo.pending.get()).toBeUndefined();
});

test("given a deletion, when it is taken back, then it is never carried out", () => {
  const undo = createUndo();
  const { commit, restore } = deletion();
  undo.offer("Policy deleted", commit, restore);

  undo.takeBack();
  vi.advanceTimersByTime(10 * UNDO_MS);

  expect(restore).toHaveBeenCalledTimes(1);
  expect(commit).not.toHaveBeenCalled();
});

test("given a deletion that waits, when another follows or the page is left, then the first is carried out at once", () => {
  const undo = createUndo();
  const [first, second] = [deletion(), deletion()];
  undo.offer("first", first.commit, first.restore);
  undo.offer("second", second.commit, second.restore);
  expect(first.commit).toHaveBeenCalledTimes(1);

  undo.settle();

  expect(second.commit).toHaveBeenCalledTimes(1);
  undo.takeBack();
  expect(second.restore).not.toHaveBeenCalled();
});
