// @vitest-environment jsdom
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import { useImperativeHandle } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { JointSpec, PlayerTick, ReadyInfo, SideBySideHandle, SideBySideProps } from "../player";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

const shown = vi.hoisted(() => ({
  current: undefined as SideBySideProps | undefined,
  shove: vi.fn(),
}));
// jsdom has no WebGL; the browser tests in tests/e2e show the robots for real.
vi.mock("../player", () => ({
  RobotStage: () => null,
  SideBySide: (props: SideBySideProps) => {
    shown.current = props;
    useImperativeHandle(props.ref, () => ({ shove: shown.shove }) as unknown as SideBySideHandle);
    return props.lanes.map((_, lane) => props.renderLane(lane, null));
  },
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

test("given nothing chosen, when a policy is picked, then the picker stays open for the next, with what was looked for", async () => {
  openPage(backend, "/?view=compare");
  fireEvent.click(await screen.findByTestId("choose-first"));
  fireEvent.click(await screen.findByTestId("pick-policies"));
  fireEvent.change(screen.getByTestId("pick-search"), { target: { value: "cartpole" } });
  for (const steps of ["1k steps", "3k steps"]) {
    const offers = await screen.findAllByTestId("offer");
    fireEvent.click(offers.find((each) => each.textContent?.includes(steps)) as HTMLElement);
  }
  await waitFor(() => expect(compared()).toBe("run-1-1000,run-2-3000"));
  expect((screen.getByTestId("pick-search") as HTMLInputElement).value).toBe("cartpole");
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

test("given robots that look elsewhere, when all are pushed by key, then each is pushed as it sees forwards", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  await waitFor(() => expect(lanes()).toHaveLength(2));
  await waitFor(() => expect(shown.current?.lanes).toHaveLength(2));
  const free: JointSpec = { name: "hip", kind: "hinge", qposIndex: 7, low: -1, high: 1, limited: true };
  const looking = (rad: number) =>
    ({
      qpos: Float64Array.of(0, 0, 0.3, Math.cos(rad / 2), 0, 0, Math.sin(rad / 2), 0.1),
      terms: {},
    }) as unknown as PlayerTick;
  act(() => {
    shown.current?.onReady?.(0, { joints: [free] as readonly JointSpec[] } as ReadyInfo);
    shown.current?.onTick?.(0, looking(0));
    shown.current?.onTick?.(1, looking(Math.PI / 2));
  });
  fireEvent.keyDown(document.body, { key: "ArrowUp", code: "ArrowUp", shiftKey: true });
  expect(shown.shove).toHaveBeenLastCalledWith(
    [
      [1, 0, 0],
      [0, 1, 0],
    ],
    1,
  );
});

test("given the keys of the stage, when they are pressed, then they move all robots", async () => {
  openPage(backend, "/?view=compare&with=run-1-2000,run-2-3000");
  await waitFor(() => expect(shown.current?.playing).toBe(true));
  fireEvent.keyDown(document.body, { key: " " });
  expect(shown.current?.playing).toBe(false);
  fireEvent.keyDown(document.body, { key: "-" });
  expect(shown.current?.speed).toBe(0.5);
  fireEvent.keyDown(document.body, { key: "n" });
  expect(shown.current?.episode).toBe(1);
  fireEvent.keyDown(document.body, { key: "f" });
  expect(shown.current?.contacts).toBe(true);
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

test("given three robots, when the one that leads is removed, then of the others the better leads", async () => {
  openPage(backend, "/?view=compare&with=run-1-1000,run-1-2000,run-2-3000");
  await waitFor(() => expect(shown.current?.lanes.length).toBe(3));
  const tick = { driven: true, terms: {}, ended: "", timeSecs: 1 };
  for (const [lane, episodeReturn] of [10, 20, 90].entries()) {
    act(() => shown.current?.onTick?.(lane, { ...tick, episodeReturn } as PlayerTick));
  }
  const leads = () => screen.getAllByTestId("lane").map((lane) => lane.dataset.leads);
  expect(leads()).toEqual(["false", "false", "true"]);
  fireEvent.click(screen.getAllByTestId("lane-remove")[2] as HTMLElement);
  await waitFor(() => expect(leads()).toEqual(["false", "true"]));
});
