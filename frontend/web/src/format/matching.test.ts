import { expect, test } from "vitest";
import { matches } from "./matching";

test("given words in any order and case, when each occurs somewhere, then it matches", () => {
  expect(matches("walk fast", "Walk very fast", "Go1")).toBe(true);
  expect(matches("go1 walk", "Walk very fast", "Go1")).toBe(true);
  expect(matches("walk slowly", "Walk very fast")).toBe(false);
});

test("given no word, then everything matches", () => {
  expect(matches("", "Go1")).toBe(true);
  expect(matches("  ", undefined)).toBe(true);
});
