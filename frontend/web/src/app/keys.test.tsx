// @vitest-environment jsdom
import { cleanup, fireEvent, render } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClients } from "../rpc/clients";
import { type Command, useCommand } from "../stores/commands";
import { createBackend } from "../testing/backend";
import { preparePage } from "../testing/page";
import { fits, isFree, keyNames, useKeys } from "./keys";
import { createSession, type Session, SessionProvider } from "./session";

const run = vi.fn();
let session: Session;

interface PageProps {
  readonly shortcut: string;
  readonly when: boolean;
  readonly repeats: boolean;
}

function Page({ shortcut, when, repeats }: PageProps) {
  const command: Command = { id: "stage.pause", title: "Pause", group: "Robot", shortcut, repeats, run };
  useKeys();
  useCommand(command, when);
  return (
    <>
      <button type="button">Train</button>
      <textarea />
      <input type="range" />
    </>
  );
}

function open(shortcut: string, when = true, repeats = false) {
  const page = (isWhen: boolean) => (
    <SessionProvider value={session}>
      <Page shortcut={shortcut} when={isWhen} repeats={repeats} />
    </SessionProvider>
  );
  const { rerender, container } = render(page(when));
  const find = (selector: string) => container.querySelector(selector) ?? document.body;
  return { find, withdraw: () => rerender(page(false)) };
}

beforeEach(() => {
  preparePage();
  run.mockClear();
  const fetchHealth = async () => Response.json({});
  session = createSession(createClients(createBackend().transport), { fetchHealth });
});

afterEach(() => {
  session.health.stop();
  session.runs.stop();
  cleanup();
  vi.unstubAllGlobals();
});

test("given a command, when its key is pressed, then it is carried out, and no longer once it is withdrawn", () => {
  const { withdraw } = open("p");
  fireEvent.keyDown(document.body, { key: "p" });
  expect(run).toHaveBeenCalledTimes(1);
  withdraw();
  fireEvent.keyDown(document.body, { key: "p" });
  expect(run).toHaveBeenCalledTimes(1);
});

test.each([
  ["p", "p", "textarea", 0],
  ["p", "p", "button", 1],
  ["p", "p", "input", 1],
  ["Space", " ", "button", 0],
  ["Space", " ", "body", 1],
  ["ArrowLeft", "ArrowLeft", "input", 0],
])(
  "given a command by %s, when %j is pressed within a %s, then it is carried out %i times",
  (shortcut, key, where, times) => {
    const { find } = open(shortcut);
    fireEvent.keyDown(find(where), { key });
    expect(run).toHaveBeenCalledTimes(times);
  },
);

function inside(html: string): Element {
  document.body.innerHTML = html;
  const element = document.querySelector("[data-here]");
  if (!element) throw new Error("the test marks no element");
  return element;
}

test.each([
  "<input data-here>",
  "<textarea data-here></textarea>",
  "<select data-here></select>",
  "<div contenteditable='true'><b data-here></b></div>",
  "<div class='cm-editor'><div data-here></div></div>",
])("given %s, where one writes, when a key is pressed there, then it is not the page's", (html) => {
  expect(isFree(inside(html), "w")).toBe(false);
});

test("given a control that uses a key itself, when it has the focus, then only its own keys are left to it", () => {
  const button = inside("<button data-here>Train</button>");
  expect(isFree(button, " ")).toBe(false);
  expect(isFree(button, "w")).toBe(true);
  const slider = inside("<input type='range' data-here>");
  expect(isFree(slider, "ArrowLeft")).toBe(false);
  expect(isFree(slider, "w")).toBe(true);
});

test("given an open dialogue, when a key is pressed behind it, then nothing happens on the page", () => {
  const behind = inside("<div data-here></div><dialog open></dialog>");
  expect(isFree(behind, "n")).toBe(false);
  expect(isFree(inside("<div data-here></div>"), "n")).toBe(true);
});

test("given a key that is held down, when it repeats, then only a command that repeats is carried out again", () => {
  const held = () => {
    fireEvent.keyDown(document.body, { key: "p" });
    fireEvent.keyDown(document.body, { key: "p", repeat: true });
  };
  open("p");
  held();
  expect(run).toHaveBeenCalledTimes(1);
  cleanup();
  open("p", true, true);
  held();
  expect(run).toHaveBeenCalledTimes(3);
});

test("given a command by Ctrl and K, when these are pressed while typing, then it is carried out all the same", () => {
  const { find } = open("Mod+k");
  fireEvent.keyDown(find("textarea"), { key: "k" });
  expect(run).not.toHaveBeenCalled();
  fireEvent.keyDown(find("textarea"), { key: "k", ctrlKey: true });
  expect(run).toHaveBeenCalledTimes(1);
});

test.each([
  ["Mod+k", { key: "k", metaKey: true }, true, true],
  ["Mod+k", { key: "k", ctrlKey: true }, true, false],
  ["?", { key: "?", shiftKey: true }, false, true],
  ["r", { key: "R", shiftKey: true }, false, false],
  ["Shift+r", { key: "R", shiftKey: true }, false, true],
  ["p", { key: "p", altKey: true }, false, false],
])("%s fits %o with a Mac's keyboard %s: %s", (shortcut, pressed, mac, expected) => {
  expect(fits(new KeyboardEvent("keydown", pressed), shortcut, mac)).toBe(expected);
});

test("keys are named as they are labelled", () => {
  expect(keyNames("Mod+k", false)).toEqual(["Ctrl", "K"]);
  expect(keyNames("Mod+k", true)).toEqual(["⌘", "K"]);
  expect(keyNames("Shift+ArrowLeft", false)).toEqual(["Shift", "←"]);
  expect(keyNames("+", false)).toEqual(["+"]);
  expect(keyNames("Mod++", false)).toEqual(["Ctrl", "+"]);
});
