// @vitest-environment jsdom
import { afterEach, expect, test } from "vitest";
import { isForStage, stageActionOf } from "./keys";

const NONE = { ctrlKey: false, metaKey: false, altKey: false };

afterEach(() => document.body.replaceChildren());

function on(html: string): Element {
  document.body.innerHTML = html;
  const element = document.querySelector("[data-here]");
  if (!element) throw new Error("the test marks no element");
  return element;
}

test("given a key, when it belongs to the browser, then the stage leaves it alone", () => {
  expect(stageActionOf({ key: "N", ...NONE })).toBe("episode");
  expect(stageActionOf({ key: " ", ...NONE })).toBe("play");
  expect(stageActionOf({ key: "n", ...NONE, ctrlKey: true })).toBeUndefined();
  expect(stageActionOf({ key: "x", ...NONE })).toBeUndefined();
});

test("given a place where one writes, when keys are pressed there, then none is the stage's", () => {
  for (const html of [
    "<input data-here>",
    "<textarea data-here></textarea>",
    "<select data-here></select>",
    "<div contenteditable='true'><b data-here></b></div>",
    "<div class='cm-editor'><div data-here></div></div>",
  ]) {
    expect(isForStage(on(html), "w"), html).toBe(false);
  }
});

test("given a control that uses a key itself, when it has the focus, then only its own keys are left to it", () => {
  const button = on("<button data-here>Train</button>");
  expect(isForStage(button, " ")).toBe(false);
  expect(isForStage(button, "w")).toBe(true);
  const slider = on("<input type='range' data-here>");
  expect(isForStage(slider, "ArrowLeft")).toBe(false);
  expect(isForStage(slider, "w")).toBe(true);
});

test("given an open dialog, when a key is pressed behind it, then nothing happens on the stage", () => {
  const behind = on("<div data-here></div><dialog open></dialog>");
  expect(isForStage(behind, "n")).toBe(false);
  expect(isForStage(on("<div data-here></div>"), "n")).toBe(true);
});
