// @vitest-environment jsdom
import { afterEach, expect, test } from "vitest";
import { isFreeKey } from "./freeKeys";

afterEach(() => document.body.replaceChildren());

function on(html: string): Element {
  document.body.innerHTML = html;
  const element = document.querySelector("[data-here]");
  if (!element) throw new Error("the test marks no element");
  return element;
}

test("given a place where one writes, when keys are pressed there, then none is free", () => {
  for (const html of [
    "<input data-here>",
    "<textarea data-here></textarea>",
    "<select data-here></select>",
    "<div contenteditable='true'><b data-here></b></div>",
    "<div class='cm-editor'><div data-here></div></div>",
  ]) {
    expect(isFreeKey(on(html), "w"), html).toBe(false);
  }
});

test("given a control that uses a key itself, when it has the focus, then only its own keys are left to it", () => {
  const button = on("<button data-here>Train</button>");
  expect(isFreeKey(button, " ")).toBe(false);
  expect(isFreeKey(button, "w")).toBe(true);
  const slider = on("<input type='range' data-here>");
  expect(isFreeKey(slider, "ArrowLeft")).toBe(false);
  expect(isFreeKey(slider, "w")).toBe(true);
});

test("given an open dialog, when a key is pressed behind it, then it is not free", () => {
  const behind = on("<div data-here></div><dialog open></dialog>");
  expect(isFreeKey(behind, "n")).toBe(false);
  expect(isFreeKey(on("<div data-here></div>"), "n")).toBe(true);
});
