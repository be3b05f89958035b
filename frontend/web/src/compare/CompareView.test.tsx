// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

// jsdom has no WebGL; the browser tests in tests/e2e show the robots for real.
vi.mock("../player", () => ({
  RobotStage: () => null,
  SideBySide: ({
    lanes,
    renderLane,
  }: {
    lanes: readonly unknown[];
    renderLane: (lane: number, stage: null) => React.ReactNode;
  }) => lanes.map((_, lane) => renderLane(lane, null)),
}));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(async () => {
  preparePage();
  backend = createBackend();
  const { trainer } = createClients(backend.transport);
  for (const [runId, ...steps] of [
    ["run-1", 1000, 2000],
    ["run-2", 1500, 3000],
  ] as const) {
    await trainer.createRun({ spec: { environmentId: "CartpoleBalance", title: runId } });
    for (const each of steps) publish(runId, each);
    backend.append(runId, { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  }
  backend.putPolicy({ policyId: "walks", environmentId: "WalkerWalk", title: "walk" });
});

afterEach(closePage);

function publish(runId: string, steps: number): void {
  const sha256 = `${runId.at(-1)}${steps}`.padStart(64, "0");
  const policyId = `${runId}-${steps}`;
  const value = { envSteps: BigInt(steps), artifact: { sha256 }, episodeReturn: steps };
  backend.append(runId, { case: "checkpoint", value });
  const controller = { sha256 };
  backend.putPolicy({ policyId, environmentId: "CartpoleBalance", runId, envSteps: BigInt(steps), controller });
  backend.append(runId, { case: "policyPublished", value: { checkpointSha256: sha256, policyId } });
}

const compared = () => new URLSearchParams(window.location.search).get("with");
const lanes = () => screen.getAllByTestId("lane").map((lane) => lane.dataset.policyId);

test("given nothing chosen, when a start is taken, then the first and the best of the last run are side by side in the URL", async () => {
  openPage(backend, "/?view=compare");
  fireEvent.click((await screen.findAllByTestId("start"))[0] as HTMLElement);
  await waitFor(() => expect(lanes()).toEqual(["run-2-1500", "run-2-3000"]));
  expect(compared()).toBe("run-2-1500,run-2-3000");
});

test("given two lanes, when they are moved and removed, then the URL follows", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  await screen.findByTestId("compare-steps");
  fireEvent.click(screen.getAllByTestId("lane-on")[0] as HTMLElement);
  expect(compared()).toBe("run-2-3000,run-1-2000");
  fireEvent.click(screen.getAllByTestId("lane-remove")[0] as HTMLElement);
  await waitFor(() => expect(compared()).toBe("run-1-2000"));
});

test("given lanes of two runs, when the slider moves, then each plays what it could do by then", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  const slider = await screen.findByTestId("compare-steps");
  fireEvent.change(slider, { target: { value: "1" } });
  await waitFor(() => expect(compared()).toBe("run-1-1000,run-2-1500"));
  fireEvent.click(screen.getByTestId("all-newest"));
  await waitFor(() => expect(compared()).toBe("run-1-2000,run-2-3000"));
});

test("given a chosen robot, when the picker opens, then another robot's policy says why it cannot be added", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000");
  fireEvent.click(await screen.findByTestId("add-policy"));
  fireEvent.click(await screen.findByTestId("pick-policies"));
  const offers = await screen.findAllByTestId("offer");
  const foreign = offers.find((each) => each.textContent?.includes("Walker")) as HTMLButtonElement;
  expect(foreign.disabled).toBe(true);
  expect(foreign.textContent).toContain("drives another robot");
  fireEvent.click(offers.find((each) => each.textContent?.includes("3k steps")) as HTMLElement);
  expect(compared()).toBe("run-1-2000,run-2-3000");
});

test("given a policy that is gone and more than four, when the link opens, then it says so and the others stay", async () => {
  openPage(backend, "/?view=compare&with=run-1-1000,gone,run-1-2000,run-2-1500,run-2-3000");
  await waitFor(() => expect(lanes()).toHaveLength(4));
  expect(screen.getByTestId("left-out").textContent).toContain("1 more");
  const lost = screen.getAllByTestId("lane").find((lane) => lane.dataset.policyId === "gone") as HTMLElement;
  fireEvent.click(await within(lost).findByText("Remove it"));
  await waitFor(() => expect(compared()).toBe("run-1-1000,run-1-2000,run-2-1500"));
});

test("given two that do equally well, when they are evaluated, then it is too close to call", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  fireEvent.click(await screen.findByTestId("evaluate-all"));
  await waitFor(() => expect(screen.getByTestId("verdict").textContent).toContain("Too close to call"));
  expect(screen.getByTestId("evaluation-table").textContent).toContain("920 ± 14");
});

test("given Inference down, when they are evaluated, then each says so and offers another try", async () => {
  backend.setDown("inference", true);
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  fireEvent.click(await screen.findByTestId("evaluate-all"));
  await waitFor(() => expect(screen.getAllByText(/could not be evaluated/)).toHaveLength(2));
  backend.setDown("inference", false);
  fireEvent.click(screen.getByTestId("evaluate-all"));
  await waitFor(() => expect(screen.getByTestId("evaluation-table").textContent).toContain("920 ± 14"));
});
