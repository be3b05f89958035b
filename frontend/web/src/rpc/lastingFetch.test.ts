// @vitest-environment jsdom
import { afterEach, expect, test, vi } from "vitest";
import { lastingFetch } from "./lastingFetch";

afterEach(() => vi.unstubAllGlobals());

test("given a page that is being left, then its requests outlive it, and are ordinary ones once it is back", async () => {
  const fetched = vi.fn(async () => new Response());
  vi.stubGlobal("fetch", fetched);
  const fetchIt = lastingFetch(window);
  const outlives = async () => {
    await fetchIt("/", { method: "POST" });
    return Boolean((fetched.mock.lastCall as unknown as [string, RequestInit])[1].keepalive);
  };

  expect(await outlives()).toBe(false);
  window.dispatchEvent(new Event("pagehide"));
  expect(await outlives()).toBe(true);
  window.dispatchEvent(new Event("pageshow"));
  expect(await outlives()).toBe(false);
});
