// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));

const MODELS = [
  { name: "first/large", title: "Large", description: "Understands free wording." },
  { name: "second/small", title: "", description: "Answers faster." },
  { name: "library", title: "Built-in library", description: "Needs no LLM." },
];

beforeEach(preparePage);
afterEach(closePage);

function open(models: typeof MODELS): Backend {
  const backend = createBackend({ models });
  openPage(backend, "/?env=CartpoleBalance");
  return backend;
}

test("given several LLMs, when one is chosen, then it is described and writes the reward", async () => {
  const backend = open(MODELS);
  const choice = (await screen.findByRole("combobox", { name: "Written by" })) as HTMLSelectElement;
  expect([...choice.options].map(({ text }) => text)).toEqual(["Large", "second/small", "Built-in library"]);
  expect(choice.value).toBe("first/large");

  fireEvent.change(choice, { target: { value: "second/small" } });
  expect(screen.getByText("Answers faster.")).toBeTruthy();
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  await waitFor(() => expect(backend.rewards.get("reward-1")?.model).toBe("second/small"));
  expect((await screen.findByTestId("reward-origin")).textContent).toContain("by second/small");
});

test("given several LLMs, when none is chosen, then the first writes the reward", async () => {
  const backend = open(MODELS);
  await screen.findByRole("combobox", { name: "Written by" });
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  await waitFor(() => expect(backend.rewards.size).toBe(1));
  expect((await screen.findByTestId("model")).dataset.model).toBe("first/large");
});

test("given the library alone, then there is nothing to choose, and the page says that no LLM writes", async () => {
  open(MODELS.slice(2));
  expect((await screen.findByTestId("model")).textContent).toContain("without an LLM");
  expect(screen.queryByRole("combobox", { name: "Written by" })).toBeNull();
});

test("given a model that is configured no more, when it is to write, then it is said and offered no more", async () => {
  const models = [...MODELS];
  const backend = open(models);
  fireEvent.change(await screen.findByRole("combobox", { name: "Written by" }), { target: { value: "second/small" } });
  models.splice(1, 1);
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  expect((await screen.findByTestId("error")).textContent).toContain("second/small");
  await waitFor(() => expect(screen.queryByRole("option", { name: "second/small" })).toBeNull());

  fireEvent.click(screen.getByTestId("generate"));
  await waitFor(() => expect(backend.rewards.size).toBe(1));
});
