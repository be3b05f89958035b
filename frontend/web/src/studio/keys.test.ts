import { expect, test } from "vitest";
import { stageActionOf } from "./keys";

const NONE = { ctrlKey: false, metaKey: false, altKey: false };

test("given a key, when it belongs to the browser, then the stage leaves it alone", () => {
  expect(stageActionOf({ key: "N", ...NONE })).toBe("episode");
  expect(stageActionOf({ key: " ", ...NONE })).toBe("play");
  expect(stageActionOf({ key: "n", ...NONE, ctrlKey: true })).toBeUndefined();
  expect(stageActionOf({ key: "x", ...NONE })).toBeUndefined();
});
