// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(() => {
  preparePage();
  backend = createBackend({ stepMs: 20 });
});

afterEach(closePage);

const robots = () => screen.findByTestId("menagerie");

test("given robots of Menagerie, when one is chosen, then an environment is made of it and opened", async () => {
  openPage(backend, "/");
  const section = await robots();
  const go1 = within(section).getByRole("button", { name: /Unitree Go1/ });
  expect(go1.textContent).toContain("BSD-3-Clause");

  fireEvent.click(go1);

  // one at a time
  await waitFor(() => expect(go1.getAttribute("aria-busy")).toBe("true"));
  for (const button of within(section).getAllByRole("button"))
    expect(button.getAttribute("aria-disabled")).toBe("true");
  await waitFor(() => expect(window.location.search).toBe("?env=custom-unitree_go1"));

  // and it stands among the environments from then on
  window.history.back();
  const card = await screen.findByTestId("env-card-custom-unitree_go1");
  expect(card.textContent).toContain("Unitree Go1");
  await waitFor(async () => expect(within(await robots()).queryByRole("button", { name: /Unitree Go1/ })).toBeNull());
});

test("given a person who leaves while a robot is read, when it is there, then the page stays where the person went, and it is among the robots", async () => {
  openPage(backend, "/");
  fireEvent.click(within(await robots()).getByRole("button", { name: /^Unitree G1 (?!with)/ }));

  fireEvent.click(screen.getByTestId("env-card-WalkerWalk"));

  await waitFor(() => expect(window.location.search).toBe("?env=WalkerWalk"));
  await new Promise((done) => setTimeout(done, 60));
  expect(window.location.search).toBe("?env=WalkerWalk");

  // where it is found later
  fireEvent.click(screen.getByTestId("robots"));
  expect(await screen.findByTestId("env-card-custom-unitree_g1")).toBeTruthy();
});

test("given a service that is away, when a robot is chosen, then the page says so and tries again when asked", async () => {
  openPage(backend, "/");
  const section = await robots();
  backend.setDown("scene", true);
  fireEvent.click(within(section).getByRole("button", { name: /with hands/ }));
  const error = await within(section).findByTestId("error", {}, { timeout: 15_000 });

  backend.setDown("scene", false);
  fireEvent.click(within(error).getByRole("button", { name: /again/i }));

  await waitFor(() => expect(window.location.search).toBe("?env=custom-unitree_g1"));
}, 30_000);

test("given words in the search, when they fit robots of Menagerie alone, then only those are shown", async () => {
  openPage(backend, "/?q=unitree hands");
  const section = await robots();
  expect(within(section).getAllByRole("button")).toHaveLength(1);
  expect(screen.queryByText(/Nothing matches/)).toBeNull();
  expect(screen.getByText("1 robot matches")).toBeTruthy();
});

test("given a filter that Menagerie cannot fit, then its robots are not offered", async () => {
  openPage(backend, "/?category=dm_control_suite");
  await screen.findByTestId("env-card-WalkerWalk");
  expect(screen.queryByTestId("menagerie")).toBeNull();
});
