// @vitest-environment jsdom
import { act, fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { PlayerTick, RobotStageProps } from "../player";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

const stage = vi.hoisted(() => ({ props: undefined as unknown }));
// jsdom has neither WebGL nor workers: the stage keeps what it is told, and the tests say what it tells.
vi.mock("../player", () => ({
  RobotStage: (props: unknown) => {
    stage.props = props;
    return null;
  },
}));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

const told = () => stage.props as RobotStageProps;
const controller = (letter: string) => ({ sha256: letter.repeat(64) });
const SIZES = { nq: 2, nv: 2, nu: 1, nbody: 3, ngeom: 3 };
const COMMAND = {
  field: "command",
  elements: [
    { name: "forward velocity", unit: "m/s", low: -1.5, high: 1.5 },
    { name: "velocity to the left", unit: "m/s", low: -0.8, high: 0.8 },
    { name: "turning to the left", unit: "rad/s", low: -1.2, high: 1.2 },
  ],
};

let backend: Backend;

beforeEach(async () => {
  preparePage();
  stage.props = undefined;
  backend = createBackend();
  backend.putPolicy({
    policyId: "dance",
    environmentId: "CartpoleBalance",
    envSteps: 1000n,
    controller: controller("d"),
  });
  await createClients(backend.transport).registry.registerVersion({ name: "pole-dance", policyId: "dance" });
});

afterEach(closePage);

/** Opens the studio and lets the pretrained policy drive. */
async function openDriven() {
  openPage(backend, "/?env=CartpoleBalance");
  await waitFor(() => expect(told().policy?.policyId).toBe("dance"));
  act(() => {
    told().onReady?.({
      environmentId: "CartpoleBalance",
      sizes: SIZES,
      joints: [],
      actuators: [],
      triangles: 0,
      loadSecs: 0,
    });
    told().onPolicy?.({ controllerSha256: "d".repeat(64), commands: [COMMAND], loadSecs: 0 });
  });
}

test("given a registered policy, when its robot is shown, then it drives beside the steps until it is let go", async () => {
  await openDriven();
  expect(window.location.search).toBe("?env=CartpoleBalance");
  fireEvent.click(screen.getByTestId("pretrained-switch"));
  expect(told().policy).toBeNull();
  fireEvent.click(screen.getByTestId("pretrained-switch"));
  expect(told().policy?.policyId).toBe("dance");
});

test("given a policy that was registered for another reward, when its own task is trained, then it drives under its own name until the first policy comes", async () => {
  backend = createBackend();
  const reward = { rewardId: "spinning" };
  backend.putPolicy({ policyId: "spin", environmentId: "CartpoleBalance", reward, controller: controller("d") });
  await createClients(backend.transport).registry.registerVersion({ name: "propeller", policyId: "spin" });
  openPage(backend, "/?env=CartpoleBalance");
  await waitFor(() => expect(told().policy?.policyId).toBe("spin"));
  fireEvent.click(screen.getByTestId("own-reward"));
  fireEvent.click(await screen.findByTestId("train"));
  await waitFor(() =>
    expect(screen.getByTestId("policy-status").textContent).toBe(
      "Your propeller, version 1, until the first policy comes",
    ),
  );
});

test("given a policy that takes commands, when keys are held, then it is steered, and let go on demand", async () => {
  await openDriven();
  fireEvent.keyDown(document.body, { code: "KeyW", key: "w" });
  expect(told().commands).toEqual({ command: [1.5, 0, 0] });
  fireEvent.keyUp(document.body, { code: "KeyW", key: "w" });
  expect(told().commands).toEqual({ command: [0, 0, 0] });
  fireEvent.click(screen.getByTestId("open-drive"));
  fireEvent.click(screen.getByTestId("let-environment-decide"));
  expect(told().commands).toBeNull();
});

test("given the prompt with the focus, when keys are pressed in it, then neither robot nor playback notice", async () => {
  await openDriven();
  const prompt = await screen.findByTestId("prompt");
  for (const [code, key] of [
    ["KeyW", "w"],
    ["Space", " "],
    ["KeyN", "n"],
  ]) {
    fireEvent.keyDown(prompt, { code, key });
  }
  expect(told().commands).toBeNull();
  expect(told().playing).toBe(true);
  fireEvent.keyDown(document.body, { code: "Space", key: " " });
  expect(told().playing).toBe(false);
});

test("given a policy that drives, when the person takes the motors over, then it waits until they let go", async () => {
  await openDriven();
  fireEvent.click(screen.getByTestId("open-pose"));
  fireEvent.click(screen.getByTestId("show-motors"));
  fireEvent.click(screen.getByTestId("take-over"));
  expect(told().policy).toBeNull();
  expect(screen.getByTestId("policy-status").textContent).toContain("You move the motors");
  fireEvent.click(screen.getByTestId("let-go"));
  expect(told().policy?.policyId).toBe("dance");
});

test("given a joint's slider that a finger holds, when the browser takes the finger for scrolling, then the slider follows the robot again", async () => {
  await openDriven();
  const joint = { name: "hinge", kind: "hinge", qposIndex: 0, low: -1, high: 1, limited: true } as const;
  const at = (position: number) => {
    const tick = {
      qpos: Float64Array.of(position, 0),
      ctrl: Float64Array.of(0),
      terms: {},
      episodeReturn: 0,
      reward: 0,
    };
    act(() => told().onTick?.(tick as unknown as PlayerTick));
  };
  act(() =>
    told().onReady?.({
      environmentId: "CartpoleBalance",
      sizes: SIZES,
      joints: [joint],
      actuators: [],
      triangles: 0,
      loadSecs: 0,
    }),
  );
  fireEvent.click(screen.getByTestId("open-pose"));
  const slider = (await screen.findByTestId("joint-0")) as HTMLInputElement;
  fireEvent.change(slider, { target: { value: "0.5" } });
  fireEvent.pointerCancel(slider);
  at(0.2);
  expect(slider.valueAsNumber).toBeCloseTo(0.2);
});

test("given motors that the person took over, when training brings a newer policy, then it waits too, until they let go", async () => {
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
  backend.append("run-1", { case: "stateChanged", value: { state: RunState.RUNNING } });
  const publish = (policyId: string, letter: string, envSteps: bigint) => {
    const { sha256 } = controller(letter);
    backend.append("run-1", { case: "checkpoint", value: { envSteps, artifact: { sha256 } } });
    backend.putPolicy({
      policyId,
      environmentId: "CartpoleBalance",
      runId: "run-1",
      envSteps,
      controller: controller(letter),
    });
    backend.append("run-1", { case: "policyPublished", value: { checkpointSha256: sha256, policyId } });
  };
  publish("first", "1", 1000n);
  openPage(backend, "/?run=run-1");
  await waitFor(() => expect(told().policy?.policyId).toBe("first"));
  fireEvent.click(screen.getByTestId("open-pose"));
  fireEvent.click(screen.getByTestId("show-motors"));
  fireEvent.click(screen.getByTestId("take-over"));

  publish("second", "2", 2000n);
  await waitFor(() => expect(screen.getAllByTestId("checkpoint-item")).toHaveLength(2));
  await waitFor(() =>
    expect(screen.getByLabelText(/^Compare this policy/).getAttribute("href")).toContain("with=second"),
  );
  expect(told().policy).toBeNull();
  expect(screen.getByTestId("policy-status").textContent).toContain("You move the motors");
  fireEvent.click(screen.getByTestId("let-go"));
  expect(told().policy?.policyId).toBe("second");

  // but one that is asked for drives at once
  fireEvent.click(screen.getByTestId("take-over"));
  fireEvent.keyDown(screen.getByTestId("scrub"), { key: "Home" });
  await waitFor(() => expect(told().policy?.policyId).toBe("first"));
});

test("given a link to a policy that is not here, when it is opened, then stage and panel say the same of it", async () => {
  openPage(backend, "/?env=CartpoleBalance&policy=gone");
  const why = /no such policy.*it may have been deleted, or belong to another data folder/i;
  await waitFor(() => expect(screen.getByTestId("policy-status").textContent).toMatch(why));
  expect((await screen.findByTestId("error")).textContent).toMatch(why);
});
