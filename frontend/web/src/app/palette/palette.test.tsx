// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClients } from "../../rpc/clients";
import { type Backend, createBackend } from "../../testing/backend";
import { closePage, openPage, preparePage } from "../../testing/page";
import { matchOf } from "./entries";

vi.mock("../../player", () => ({ RobotStage: () => null }));

let backend: Backend;

beforeEach(() => {
  localStorage.clear();
  preparePage();
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  backend = createBackend();
});

afterEach(closePage);

async function find(text: string) {
  fireEvent.keyDown(document.body, { key: "k", ctrlKey: true });
  fireEvent.change(await screen.findByTestId("palette-input"), { target: { value: text } });
}

test("given the palette, when a robot is looked for and chosen, then its studio opens", async () => {
  openPage(backend, "/");
  await find("cheetah");
  fireEvent.click(await screen.findByTestId("palette-robot.CheetahRun"));
  await waitFor(() => expect(window.location.search).toBe("?env=CheetahRun"));
  expect(screen.queryByTestId("palette")).toBeNull();
});

test("given an earlier run, when its words are looked for, then the palette leads to it", async () => {
  const { trainer } = createClients(backend.transport);
  await trainer.createRun({ spec: { environmentId: "WalkerWalk", title: "walk like a duck" } });
  openPage(backend, "/");
  await find("duck");
  fireEvent.click(await screen.findByTestId("palette-run.run-1"));
  await waitFor(() => expect(window.location.search).toBe("?env=WalkerWalk&run=run-1"));
});

test("given the palette, when something to do is chosen, then it is done", async () => {
  openPage(backend, "/");
  await find("dark");
  fireEvent.click(await screen.findByTestId("palette-theme.dark"));
  expect(localStorage.getItem("tabrl.theme")).toBe("dark");
});

test("given the palette over a studio, when the prompt is chosen, then it has the focus once the palette is gone, not what had it before", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  const prompt = await screen.findByTestId("prompt");
  const shut: boolean[] = [];
  // Behind a window that is open a browser gives the focus to nothing.
  prompt.addEventListener("focus", () => shut.push(document.querySelector("dialog[open]") === null));
  screen.getByTestId("find").focus();
  await find("say what");
  fireEvent.click(await screen.findByTestId("palette-reward.describe"));
  await waitFor(() => expect(screen.queryByTestId("palette")).toBeNull());
  expect(shut).toEqual([true]);
  expect(document.activeElement).toBe(prompt);
});

test("given the page, when a question mark is typed, then every key is shown", async () => {
  openPage(backend, "/");
  fireEvent.keyDown(document.body, { key: "?", shiftKey: true });
  expect((await screen.findByTestId("key-sheet")).textContent).toContain("Find anything");
});

test.each([
  ["Walker · Walk", "walker walk", 1],
  ["Walker · Run", "walker walk", 0.95],
  ["Go1 · Walk", "walk", 1],
  ["Go1 · Walking", "walk", 0.8],
  ["Cheetah · Run", "walk", 0],
])("%s fits %j by %d", (title, search, fit) => {
  expect(matchOf(title, [], search)).toBe(fit);
});
