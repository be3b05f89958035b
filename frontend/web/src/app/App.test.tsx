// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

// jsdom has neither WebGL nor canvas; the browser tests in tests/e2e show both for real.
vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

vi.mock("../history/History", () => ({
  History: () => {
    throw new Error("a defect");
  },
}));

let backend: Backend;
const open = (href: string) => openPage(backend, href);

beforeEach(() => {
  preparePage();
  backend = createBackend();
});

afterEach(closePage);

async function write(prompt: string) {
  fireEvent.change(await screen.findByTestId("prompt"), { target: { value: prompt } });
  fireEvent.click(screen.getByTestId("generate"));
}

test("given the gallery, when a robot is searched for and chosen, then its studio opens under its URL", async () => {
  open("/");
  fireEvent.change(await screen.findByTestId("search"), { target: { value: "pole upright" } });
  fireEvent.click(await screen.findByTestId("env-card-CartpoleBalance"));
  expect(await screen.findByTestId("prompt")).toBeTruthy();
  expect(window.location.search).toBe("?env=CartpoleBalance");
});

test("given a prompt, when it goes from reward to trained policy, then every step shows and the URL holds it", async () => {
  open("/?env=CartpoleBalance");
  await write("keep the pole upright while swaying gently");
  const terms = await screen.findByTestId("reward-terms");
  expect(within(terms).getByText("Centred")).toBeTruthy();
  expect(screen.getByTestId("left-out").textContent).toContain("swaying gently");
  await waitFor(() => expect(screen.getByTestId("estimate").textContent).toContain("measured on 2 earlier runs"));

  fireEvent.click(screen.getByTestId("train"));
  await waitFor(() => expect(screen.getByTestId("run-state").dataset.state).toBe("QUEUED"));
  const sha256 = "e".repeat(64);
  backend.append("run-1", { case: "stateChanged", value: { state: RunState.RUNNING } });
  const metrics = { envSteps: 500_000n, episodeReturn: 321, remainingSecs: 60, termReturns: { upright: 321 } };
  backend.append("run-1", { case: "metrics", value: metrics });
  backend.append("run-1", { case: "checkpoint", value: { envSteps: 500_000n, artifact: { sha256 }, final: true } });
  backend.putPolicy({ policyId: "policy-1", environmentId: "CartpoleBalance", runId: "run-1", envSteps: 500_000n });
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "policy-1" } });
  await waitFor(() => expect(screen.getByTestId("run-state").dataset.state).toBe("RUNNING"));
  expect((await screen.findByTestId("checkpoint-item")).dataset.policyId).toBe("policy-1");
  expect(screen.getByTestId("run-panel").textContent).toContain("About 1\u00a0min to go");

  backend.append("run-1", { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  await waitFor(() => expect(screen.getByTestId("evaluation").dataset.status).toBe("done"));
  expect(window.location.search).toBe("?env=CartpoleBalance&reward=reward-1&run=run-1");
});

test("given a changed weight, when the run starts, then it trains with that weight", async () => {
  open("/?env=CartpoleBalance");
  await write("stay upright");
  fireEvent.change(await screen.findByRole("spinbutton", { name: "Weight of Effort" }), { target: { value: "0.2" } });
  fireEvent.click(await screen.findByTestId("train"));
  await waitFor(() =>
    expect(backend.runs.get("run-1")?.spec?.reward?.weights).toEqual({ upright: 1, centred: 0.5, effort: 0.2 }),
  );
});

test("given no prompt, when a reward is asked for, then the field says what is missing and nothing is sent", async () => {
  open("/?env=CartpoleBalance");
  await write("   ");
  expect((await screen.findByTestId("error")).textContent).toContain("Say in a few words");
  expect(screen.getByTestId("prompt").getAttribute("aria-invalid")).toBe("true");
  expect(backend.rewards.size).toBe(0);
});

test("given a behaviour that the library does not know, when it refuses, then its words and the remedy show", async () => {
  open("/?env=CartpoleBalance");
  await write("juggle three balls");
  const error = await screen.findByTestId("error");
  expect(error.textContent).toContain("The library does not know this behaviour");
  expect(error.textContent).toContain("“balance”");
});

test("given a link to a run alone, when it is opened, then robot and reward are found", async () => {
  const { rewards, trainer } = createClients(backend.transport);
  const { reward } = await rewards.compileReward({
    environmentId: "WalkerWalk",
    source: "def reward(): ...",
    prompt: "walk",
  });
  const spec = { environmentId: "WalkerWalk", reward: { rewardId: reward?.rewardId ?? "" } };
  await trainer.createRun({ spec });
  open("/?run=run-1");
  expect(await screen.findByTestId("reward-terms")).toBeTruthy();
  expect(window.location.search).toBe("?env=WalkerWalk&reward=reward-1&run=run-1");
});

test("given an unknown environment, when it is opened, then the nearest is named", async () => {
  open("/?env=Cartpol");
  expect((await screen.findByTestId("error")).textContent).toContain("Did you mean CartpoleBalance?");
});

test("given a service that is down, when the gateway says so, then the banner names it and what still works", async () => {
  openPage(backend, "/", { fetchHealth: async () => Response.json({ services: { exporter: "not serving" } }) });
  expect((await screen.findByTestId("banner")).textContent).toMatch(
    /Exporter service does not answer.*training goes on/,
  );
});

test("given a part of the page that cannot be shown, when another is opened, then that one is", async () => {
  const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
  open("/?view=work");
  expect((await screen.findByTestId("error")).textContent).toContain("could not be shown");
  fireEvent.click(screen.getByTestId("robots"));
  expect(await screen.findByTestId("env-card-CartpoleBalance")).toBeTruthy();
  expect(screen.queryByTestId("error")).toBeNull();
  told.mockRestore();
});
