// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RobotStageProps } from "../player/RobotStage";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";
import { anchorAt } from "./useAnchor";

let pull: () => void;
vi.mock("../player", () => ({
  RobotStage: ({ onTick }: RobotStageProps) => {
    pull = () =>
      onTick?.({ terms: {}, reward: 0, episodeReturn: 0, grabbed: true } as unknown as Parameters<
        NonNullable<typeof onTick>
      >[0]);
    return null;
  },
}));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(() => {
  localStorage.clear();
  preparePage();
  backend = createBackend();
});

afterEach(closePage);

const isAt = (step: string) => waitFor(() => expect(screen.getByTestId("tour-step").dataset.step).toBe(step));

test("given a first visit, when the guided run is followed, then each step ends when the real thing has happened", async () => {
  openPage(backend, "/");
  fireEvent.click(await screen.findByTestId("tour-start"));
  await isAt("choose");
  fireEvent.click(await screen.findByTestId("env-card-CartpoleBalance"));
  await isAt("describe");
  const [example] = await screen.findAllByTestId("example-prompt");
  if (!example) throw new Error("the studio shows no example");
  fireEvent.click(example);
  await isAt("write");
  fireEvent.click(screen.getByTestId("generate"));
  await isAt("train");
  await waitFor(() => expect(screen.getByTestId("estimate").textContent).toContain("measured"));
  fireEvent.click(screen.getByTestId("train"));
  await isAt("watch");
  const sha256 = "e".repeat(64);
  backend.append("run-1", { case: "checkpoint", value: { envSteps: 500_000n, artifact: { sha256 } } });
  backend.putPolicy({ policyId: "policy-1", environmentId: "CartpoleBalance", runId: "run-1", envSteps: 500_000n });
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "policy-1" } });
  await isAt("pull");
  pull();
  expect(await screen.findByTestId("tour-done")).toBeTruthy();
});

test("given the offer, when it is declined, then it is not made at the next visit", async () => {
  openPage(backend, "/");
  fireEvent.click(await screen.findByTestId("tour-decline"));
  expect(screen.queryByTestId("tour-offer")).toBeNull();
  closePage();
  preparePage();
  openPage(backend, "/");
  await screen.findByTestId("env-card-CartpoleBalance");
  expect(screen.queryByTestId("tour-offer")).toBeNull();
});

test("given a guided run, when it is left, then nothing of it stays", async () => {
  openPage(backend, "/");
  fireEvent.click(await screen.findByTestId("tour-start"));
  fireEvent.click(await screen.findByTestId("tour-leave"));
  expect(screen.queryByTestId("tour-step")).toBeNull();
});

test("given a guided run, when a person strays, then the mark leads back to where they were", async () => {
  openPage(backend, "/");
  fireEvent.click(await screen.findByTestId("tour-start"));
  fireEvent.click(await screen.findByTestId("env-card-CartpoleBalance"));
  await isAt("describe");
  for (const elsewhere of ["robots", "policies"]) {
    fireEvent.click(screen.getByTestId(elsewhere));
    fireEvent.click(await screen.findByText("Go on with the guided run"));
    expect(await screen.findByTestId("prompt")).toBeTruthy();
    expect(window.location.search).toBe("?env=CartpoleBalance");
    expect(screen.queryByText("Go on with the guided run")).toBeNull();
  }
  await isAt("describe");
});

test.each([
  ["near the top", new DOMRect(100, 100, 200, 40), 150],
  ["near the bottom", new DOMRect(100, 700, 200, 40), 520],
  ["as large as the stage", new DOMRect(30, 60, 850, 620), 144],
])("given a part of the page %s, then the card stands where there is room", (_, part, top) => {
  expect(anchorAt(part, 1440, 800).card.top).toBe(top);
});

test("given a part of the page at the right, then the card stands at its left and hides nothing below it", () => {
  expect(anchorAt(new DOMRect(900, 300, 450, 40), 1440, 800).card).toMatchObject({ left: 560, top: 300 });
});

test("given a gallery that is narrowed to others, when the guided run is started, then the robot that it asks for is there", async () => {
  openPage(backend, "/?q=walker");
  await screen.findByTestId("env-card-WalkerWalk");
  expect(screen.queryByTestId("env-card-CartpoleBalance")).toBeNull();
  fireEvent.click(await screen.findByTestId("tour-start"));
  expect(await screen.findByTestId("env-card-CartpoleBalance")).toBeTruthy();
});
