// @vitest-environment jsdom
import { screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;
let shown: Element[];

beforeEach(() => {
  preparePage();
  backend = createBackend();
  shown = [];
  Element.prototype.scrollIntoView = function scrollIntoView() {
    shown.push(this);
  };
});

afterEach(closePage);

test("given a link to a search, when it is followed, then what it finds is in view", async () => {
  openPage(backend, "/?q=cartpole");
  await screen.findByTestId("env-card-CartpoleBalance");
  await waitFor(() => expect(shown).toEqual([screen.getByRole("region", { name: "Choose a robot" })]));
});

test("given the page's own address, when it is opened, then it begins at its top", async () => {
  openPage(backend, "/");
  await waitFor(() => expect(screen.getByRole("region", { name: "Choose a robot" }).style.visibility).toBe(""));
  await screen.findByTestId("env-card-CartpoleBalance");
  expect(shown).toEqual([]);
});
