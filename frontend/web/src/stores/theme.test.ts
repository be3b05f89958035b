// @vitest-environment jsdom
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createThemeSwitch } from "./theme";

let systemIsDark: boolean;
let systemChanged: () => void;

/** Runs the script that the page loads before anything else. */
function loadPage() {
  const script = readFileSync("public/theme.js", "utf-8");
  // biome-ignore lint/security/noGlobalEval: it is the file itself that is tested
  // biome-ignore lint/complexity/noCommaOperator: in the global scope, as a script runs
  (0, eval)(script);
}

const shown = () => document.documentElement.dataset.theme;

beforeEach(() => {
  localStorage.clear();
  systemIsDark = false;
  vi.stubGlobal("matchMedia", () => ({
    get matches() {
      return systemIsDark;
    },
    addEventListener: (_: string, listener: () => void) => {
      systemChanged = listener;
    },
  }));
});

afterEach(() => vi.unstubAllGlobals());

test("given no choice, when the system turns dark, then the page does", () => {
  loadPage();
  expect(shown()).toBe("light");
  systemIsDark = true;
  systemChanged();
  expect(shown()).toBe("dark");
});

test("given a choice, when the page is loaded anew, then it is as chosen before the page's own script runs", () => {
  loadPage();
  createThemeSwitch().choose("dark");
  expect(shown()).toBe("dark");
  document.documentElement.removeAttribute("data-theme");
  loadPage();
  expect(shown()).toBe("dark");
  expect(createThemeSwitch().choice.get()).toBe("dark");
});

test("given a choice, when it is left to the system again, then the system decides at once", () => {
  loadPage();
  const theme = createThemeSwitch();
  theme.choose("dark");
  theme.choose("system");
  expect(shown()).toBe("light");
});
