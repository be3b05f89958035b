// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));

let backend: Backend;

beforeEach(async () => {
  preparePage();
  backend = createBackend();
  const { trainer } = createClients(backend.transport);
  for (let run = 1; run <= 60; run++) {
    await trainer.createRun({ spec: { environmentId: "CartpoleBalance", title: `behaviour ${run}` } });
  }
});

afterEach(closePage);

test("given more runs than fit on a page, when more are asked for, then all are listed, newest first", async () => {
  openPage(backend, "/");
  fireEvent.click(screen.getByTestId("history"));
  expect(await screen.findByText("50+")).toBeTruthy();
  fireEvent.click(await screen.findByTestId("show-more"));
  await waitFor(() => expect(screen.getByText("60")).toBeTruthy());
  const titles = screen.getAllByText(/^behaviour \d+$/).map(({ textContent }) => textContent);
  expect(titles.slice(-60)).toEqual(Array.from({ length: 60 }, (_, index) => `behaviour ${60 - index}`));
  expect(screen.queryByTestId("show-more")).toBeNull();
});

test("given many runs of a robot, when more are asked for, then the list grows until all are there", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await waitFor(() => expect(screen.getAllByTestId("earlier-run").length).toBe(6));
  for (const count of [26, 46, 60]) {
    fireEvent.click(screen.getByTestId("show-more"));
    await waitFor(() => expect(screen.getAllByTestId("earlier-run").length).toBe(count));
  }
  expect(screen.queryByTestId("show-more")).toBeNull();
});
