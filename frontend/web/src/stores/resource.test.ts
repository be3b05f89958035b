import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createResources } from "./resource";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("given a value, when a reload fails, then the value stays beside the failure", async () => {
  const answers = [() => "first", () => fail(Code.NotFound)];
  const resources = createResources(async () => answers.shift()?.());
  resources.ensure("key");
  await vi.advanceTimersByTimeAsync(0);
  resources.reload("key");
  await vi.advanceTimersByTimeAsync(0);
  expect(resources.get("key")).toMatchObject({ value: "first", failure: { status: "NOT_FOUND" }, loading: false });
});

test("given a failure that passes, when a while has gone by, then it is asked for again unasked", async () => {
  const answers = [() => fail(Code.Unavailable), () => fail(Code.Unavailable), () => "there"];
  const resources = createResources(async () => answers.shift()?.());
  resources.ensure("key");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(resources.get("key")).toEqual({ value: "there", loading: false });
});

test("given a failure that does not pass, when time goes by, then it is not asked for again", async () => {
  const load = vi.fn(async () => fail(Code.NotFound));
  const resources = createResources(load);
  resources.ensure("key");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(load).toHaveBeenCalledTimes(1);
});

test("given a slow answer, when a newer one is there, then the older one is dropped", async () => {
  const slow = Promise.withResolvers<string>();
  const answers = [slow.promise, Promise.resolve("newer")];
  const resources = createResources(async () => answers.shift());
  resources.ensure("key");
  resources.reload("key");
  await vi.advanceTimersByTimeAsync(0);
  slow.resolve("older");
  await vi.advanceTimersByTimeAsync(0);
  expect(resources.get("key").value).toBe("newer");
});

function fail(code: Code): never {
  throw new ConnectError("no", code);
}
