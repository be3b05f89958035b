import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { eventually } from "../testing/eventually";
import { createDeletions } from "./deletions";
import { createUndo } from "./undo";

function deleting() {
  const undo = createUndo();
  return { undo, deletions: createDeletions(undo) };
}

test("given something deleted, when it is taken back, then it is on the page again and nothing was called", () => {
  const { undo, deletions } = deleting();
  const commit = vi.fn(async () => undefined);
  deletions.offer("dance@2", "Version 2 of dance deleted", commit);
  expect([...deletions.gone.get()]).toEqual(["dance@2"]);
  undo.takeBack();
  expect(deletions.gone.get().size).toBe(0);
  expect(commit).not.toHaveBeenCalled();
});

test("given a deletion that the service refuses, when it is carried out, then the thing is back with the reason", async () => {
  const { undo, deletions } = deleting();
  deletions.offer("dance@2", "Version 2 of dance deleted", () =>
    Promise.reject(new ConnectError("tagged stable", Code.FailedPrecondition)),
  );
  undo.settle();
  await eventually(() => expect(deletions.gone.get().size).toBe(0));
  expect(deletions.failures.get().get("dance@2")?.message).toBe("Tagged stable");
  deletions.dismiss("dance@2");
  expect(deletions.failures.get().size).toBe(0);
});

test("given a deletion that waits, when the thing is needed again, then it is taken back, and no other deletion is", () => {
  const { undo, deletions } = deleting();
  const [first, second] = [vi.fn(async () => undefined), vi.fn(async () => undefined)];
  deletions.offer("dance#stable", "Tag stable deleted", first);
  deletions.withdraw("dance#stable");
  expect(deletions.gone.get().size).toBe(0);
  deletions.offer("dance#fast", "Tag fast deleted", second);
  deletions.withdraw("dance#stable");
  undo.settle();
  expect(first).not.toHaveBeenCalled();
  expect(second).toHaveBeenCalledOnce();
});
