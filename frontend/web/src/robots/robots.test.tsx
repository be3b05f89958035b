// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(() => {
  preparePage();
  backend = createBackend({ robotMissing: true });
});

afterEach(closePage);

test("given a robot that is not here, when it is downloaded from the gallery, then its card says so no more", async () => {
  openPage(backend, "/");
  const card = await screen.findByTestId("env-card-Go1JoystickFlatTerrain");
  expect(card.textContent).toContain("still to be downloaded");

  const button = screen.getByTestId("download-robots");
  expect(button.textContent).toBe("Download robots (180\u00a0MB)");
  fireEvent.click(button);

  await waitFor(() => expect(card.textContent).toContain("12 motors"));
  expect(screen.queryByTestId("robot-download")).toBeNull();
});

test("given a link to such a robot, when it is downloaded from there, then its steps appear", async () => {
  openPage(backend, "/?env=Go1JoystickFlatTerrain");
  const button = await screen.findByTestId("download-robots");
  // It is an offer, and nothing has gone wrong.
  expect(screen.queryByTestId("error")).toBeNull();
  fireEvent.click(button);
  expect(await screen.findByTestId("prompt")).toBeTruthy();
  expect(screen.queryByTestId("robot-download")).toBeNull();
});

test("given no network, when the download fails, then it says why and can be tried again", async () => {
  openPage(backend, "/");
  await screen.findByTestId("env-card-Go1JoystickFlatTerrain");
  backend.setDown("scene", true);
  fireEvent.click(screen.getByTestId("download-robots"));
  expect(await screen.findByText("Try again")).toBeTruthy();
  backend.setDown("scene", false);
  fireEvent.click(screen.getByTestId("download-robots"));
  await waitFor(() => expect(screen.queryByTestId("robot-download")).toBeNull());
});
