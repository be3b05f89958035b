// @vitest-environment jsdom
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Tier, TierRecommendationSchema } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { type CreateRunRequest, LogLevel, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("./LineChart", () => ({ LineChart: () => null }));
// jsdom cannot lay a source out; the browser tests show the comparison.
vi.mock("../reward/SourceDiff", () => ({ SourceDiff: () => null }));

let backend: Backend;
const MODELS = [{ name: "first/large", title: "Large" }, { name: "library" }];

beforeEach(() => {
  preparePage();
  backend = createBackend({ models: MODELS });
});

afterEach(closePage);

async function start() {
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.change(await screen.findByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  fireEvent.click(await screen.findByTestId("train"));
  await screen.findByTestId("run-panel");
}

const enter = (state: RunState) => backend.append("run-1", { case: "stateChanged", value: { state } });
const stateIs = (state: string) => waitFor(() => expect(screen.getByTestId("run-state").dataset.state).toBe(state));

const place = () => new URLSearchParams(window.location.search);

function publish() {
  const sha256 = "e".repeat(64);
  const value = { envSteps: 500_000n, artifact: { sha256 }, episodeReturn: 800, final: true };
  backend.append("run-1", { case: "checkpoint", value });
  const policy = { policyId: "policy-1", environmentId: "CartpoleBalance", runId: "run-1", checkpointSha256: sha256 };
  backend.putPolicy(policy);
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "policy-1" } });
}

test("given a robot without policies, when ways other than training from scratch are looked at, then they say what is missing", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.click(await screen.findByTestId("own-reward"));
  await waitFor(() => expect(screen.getByTestId("tier-fine-tune").dataset.missing).toBe("true"));
  fireEvent.click(screen.getByTestId("tier-fine-tune"));
  expect(screen.getByTestId("start-panel").textContent).toContain("Train one from scratch first");
  expect(screen.queryByTestId("train")).toBeNull();
  fireEvent.click(screen.getByTestId("tier-command"));
  expect(screen.getByTestId("start-panel").textContent).toContain("take no commands");
});

test("given a studio that was open before, when it is opened again, then it knows what was trained and deleted elsewhere meanwhile", async () => {
  const { registry, trainer } = createClients(backend.transport);
  backend.putPolicy({ policyId: "old", environmentId: "CartpoleBalance", checkpointSha256: "a".repeat(64) });
  await registry.registerVersion({ name: "good", policyId: "old" });
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.click(await screen.findByTestId("own-reward"));
  fireEvent.click(await screen.findByTestId("tier-fine-tune"));
  await waitFor(() => expect((screen.getByTestId("start-from") as HTMLSelectElement).value).toBe("old"));
  fireEvent.click(screen.getByTestId("robots"));
  await registry.deleteVersion({ name: "good", number: 1 });
  await trainer.createRun({ spec: { environmentId: "CartpoleBalance", title: "elsewhere" } });

  fireEvent.click(await screen.findByTestId("env-card-CartpoleBalance"));
  expect((await screen.findByTestId("earlier-run")).textContent).toContain("elsewhere");
  fireEvent.click(await screen.findByTestId("own-reward"));
  await waitFor(() => expect(screen.getByTestId("tier-fine-tune").dataset.missing).toBe("true"));
});

test("given a run for a reward, when the robot's own task is chosen, then that is trained for next, and going back brings the reward", async () => {
  await start();
  await waitFor(() => expect(place().get("reward")).not.toBeNull());
  const rewardId = place().get("reward");
  fireEvent.click(screen.getByTestId("own-reward"));
  await waitFor(() => expect(place().get("reward")).toBeNull());
  expect(screen.queryByTestId("reward-terms")).toBeNull();
  expect(screen.getByTestId("own-reward")).toHaveProperty("disabled", true);

  window.history.back();
  await waitFor(() => expect(place().get("reward")).toBe(rewardId));
  await screen.findByTestId("reward-terms");
});

test("given its own task chosen beside a run for a reward, when that run is opened again among the earlier ones, then it brings its reward", async () => {
  await start();
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
  fireEvent.click(screen.getByTestId("own-reward"));
  await waitFor(() => expect(place().get("reward")).toBeNull());
  fireEvent.click(await screen.findByTestId("train"));
  await waitFor(() => expect(place().get("run")).toBe("run-3"));

  const earlier = await waitFor(() => {
    const found = screen.getAllByTestId("earlier-run").find(({ textContent }) => textContent?.includes("stay upright"));
    if (!found) throw new Error("it is not listed yet");
    return found;
  });
  fireEvent.click(earlier);
  await waitFor(() => expect(place().get("run")).toBe("run-1"));
  await waitFor(() => expect(place().get("reward")).toBe("reward-1"));
  expect(await screen.findByTestId("reward-terms")).toBeTruthy();
});

test("given a run for a reward, when another goal is chosen, then step 3 says what it was trained for and how to show that, and offers to train", async () => {
  await start();
  const trainButton = () => screen.findByTestId("train");
  expect(screen.queryByTestId("other-goal")).toBeNull();
  enter(RunState.SUCCEEDED);
  await stateIs("SUCCEEDED");

  // its own task
  fireEvent.click(screen.getByTestId("own-reward"));
  expect((await screen.findByTestId("other-goal")).textContent).toContain(
    "was trained for another reward: “stay upright”",
  );
  expect((await trainButton()).textContent).toBe("Train");
  fireEvent.click(screen.getByTestId("show-trained-for"));
  await screen.findByTestId("reward-terms");
  expect(place().get("reward")).toBe("reward-1");
  expect(screen.queryByTestId("other-goal")).toBeNull();
  window.history.back();
  await screen.findByTestId("other-goal");

  // another reward, also of the same words
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  await waitFor(() => expect(place().get("reward")).toBe("reward-2"));
  expect((await screen.findByTestId("other-goal")).textContent).toContain("“stay upright”");
  fireEvent.click(await trainButton());
  await waitFor(() => expect(place().get("run")).toBe("run-2"));
  await waitFor(() => expect(screen.queryByTestId("other-goal")).toBeNull());
});

test("given a run for its own task, when a reward is written meanwhile, then step 3 says that it trains for that task", async () => {
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
  openPage(backend, "/?run=run-1");
  await screen.findByTestId("run-panel");
  expect(screen.queryByTestId("other-goal")).toBeNull();
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  expect((await screen.findByTestId("other-goal")).textContent).toContain("trains for the robot's own task");
  fireEvent.click(screen.getByTestId("show-trained-for"));
  await waitFor(() => expect(screen.queryByTestId("other-goal")).toBeNull());
  expect(screen.getByTestId("own-reward")).toHaveProperty("disabled", true);
});

test("given a run for a reward, when its weights are changed, then that is no other goal", async () => {
  await start();
  enter(RunState.SUCCEEDED);
  await stateIs("SUCCEEDED");
  fireEvent.change(await screen.findByRole("spinbutton", { name: "Weight of Effort" }), { target: { value: "0.2" } });
  await waitFor(() => expect(screen.getByTestId("train").textContent).toBe("Train again"));
  expect(screen.queryByTestId("other-goal")).toBeNull();
});

test("given a reward that was written and trained for, when the person goes back, then each step is taken back by itself", async () => {
  await start();
  await waitFor(() => expect(place().get("run")).toBe("run-1"));
  const rewardId = place().get("reward");

  window.history.back();
  await waitFor(() => expect(place().get("run")).toBeNull());
  expect(place().get("reward")).toBe(rewardId);
  expect(screen.queryByTestId("run-panel")).toBeNull();

  window.history.back();
  await waitFor(() => expect(place().get("reward")).toBeNull());
  expect(place().get("env")).toBe("CartpoleBalance");
  expect(screen.queryByTestId("reward-terms")).toBeNull();
});

test("given a start whose answer is lost, when it is tried again, then it is the same request, so that no second run comes of it", async () => {
  const requestIds: string[] = [];
  let lost = true;
  const { transport } = backend;
  const unary: Transport["unary"] = async (method, signal, timeoutMs, header, message, values) => {
    const response = await transport.unary(method, signal, timeoutMs, header, message, values);
    if (method.name !== "CreateRun") return response;
    requestIds.push((message as Partial<CreateRunRequest>).requestId ?? "");
    if (lost) throw new ConnectError("connection reset", Code.Unavailable);
    return response;
  };
  backend = { ...backend, transport: { ...transport, unary } };
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.click(await screen.findByTestId("own-reward"));
  fireEvent.click(await screen.findByTestId("train"));
  const again = await screen.findByRole("button", { name: "Try again" });
  lost = false;
  fireEvent.click(again);
  await screen.findByTestId("run-panel");
  expect(requestIds.length).toBe(2);
  expect(new Set(requestIds).size).toBe(1);
});

test("given two runs for a reward with other weights each, when the earlier one is opened again, then its own weights show; what is changed after that is kept", async () => {
  await start();
  const effort = () => screen.findByRole("spinbutton", { name: "Weight of Effort" }) as Promise<HTMLInputElement>;
  const weigh = async (weight: string) => {
    fireEvent.change(await effort(), { target: { value: weight } });
    fireEvent.blur(await effort());
  };
  const shows = async (runId: string, weight: string) => {
    await waitFor(() => expect(screen.getByTestId("run-panel").dataset.runId).toBe(runId));
    await waitFor(async () => expect((await effort()).value).toBe(weight));
  };
  await weigh("0.2");
  await waitFor(() => expect((screen.getByTestId("train") as HTMLButtonElement).disabled).toBe(false));
  fireEvent.click(screen.getByTestId("train"));
  await shows("run-2", "0.2");

  fireEvent.click(await screen.findByTestId("earlier-run"));
  await shows("run-1", "1");
  fireEvent.click(await screen.findByTestId("earlier-run"));
  await shows("run-2", "0.2");

  await weigh("0.3");
  fireEvent.click(await screen.findByTestId("earlier-run"));
  await shows("run-1", "0.3");
});

test("given a start that is refused, when the weights are changed, then the refusal is not said of those", async () => {
  const { transport } = backend;
  const unary: Transport["unary"] = async (method, ...rest) => {
    if (method.name === "CreateRun") throw new ConnectError("all weights are 0", Code.InvalidArgument);
    return transport.unary(method, ...rest);
  };
  backend = { ...backend, transport: { ...transport, unary } };
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.change(await screen.findByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  fireEvent.click(await screen.findByTestId("train"));
  await screen.findByText(/All weights are 0/);
  fireEvent.change(await screen.findByRole("spinbutton", { name: "Weight of Effort" }), { target: { value: "0.2" } });
  await waitFor(() => expect(screen.queryByText(/All weights are 0/)).toBeNull());
});

test("given a rented GPU, when it is chosen, then its price shows and the run asks for it", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.click(await screen.findByTestId("own-reward"));
  fireEvent.click(await screen.findByLabelText("Rented H100"));
  await waitFor(() => expect(screen.getByTestId("estimate").textContent).toContain("about $0.19 at $4.27 an hour"));
  fireEvent.click(screen.getByTestId("train"));
  await waitFor(() => expect(backend.runs.get("run-1")?.spec?.compute?.gpu).toBe("H100"));
});

test("given an environment without variation, when it is asked for, then the field says why and nothing starts", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.click(await screen.findByTestId("own-reward"));
  fireEvent.click(await screen.findByTestId("varied"));
  await screen.findByText("Nobody has said what to vary in CartpoleBalance.");
  expect(screen.getByTestId("varied").getAttribute("aria-invalid")).toBe("true");
  expect((screen.getByTestId("train") as HTMLButtonElement).disabled).toBe(true);
  fireEvent.click(screen.getByTestId("varied"));
  await waitFor(() => expect((screen.getByTestId("train") as HTMLButtonElement).disabled).toBe(false));
});

test("given a run, when it is paused, continued and stopped, then each is done once it is confirmed", async () => {
  await start();
  fireEvent.click(await screen.findByTestId("pause-run"));
  await stateIs("PAUSED");
  fireEvent.click(await screen.findByTestId("continue-run"));
  await stateIs("QUEUED");
  fireEvent.click(screen.getByTestId("cancel-run"));
  expect(screen.getByTestId("stop-question").textContent).toContain("cannot go on");
  expect(backend.runs.get("run-1")?.state).toBe(RunState.QUEUED);
  fireEvent.click(screen.getByTestId("confirm-cancel-run"));
  await stateIs("CANCELLED");
});

test("given a run that may be stopped, when another run that trains is opened, then that is asked of neither", async () => {
  const { trainer } = createClients(backend.transport);
  for (const title of ["first", "second"])
    await trainer.createRun({ spec: { environmentId: "CartpoleBalance", title } });
  const shows = (runId: string) => waitFor(() => expect(screen.getByTestId("run-panel").dataset.runId).toBe(runId));
  openPage(backend, "/?run=run-1");
  await shows("run-1");
  fireEvent.click(await screen.findByTestId("earlier-run"));
  await shows("run-2");
  fireEvent.click(screen.getByTestId("cancel-run"));
  expect(screen.getByTestId("stop-question")).toBeTruthy();

  fireEvent.click(await screen.findByTestId("earlier-run"));
  await shows("run-1");
  expect(screen.queryByTestId("stop-question")).toBeNull();
});

test("given a run that has ended, when it is fine-tuned from, then the next run starts from its policy", async () => {
  await start();
  enter(RunState.RUNNING);
  publish();
  enter(RunState.SUCCEEDED);
  fireEvent.click(await screen.findByTestId("fine-tune-here"));
  await waitFor(() => expect((screen.getByTestId("start-from") as HTMLSelectElement).value).toBe("policy-1"));
  await waitFor(() => expect((screen.getByTestId("train") as HTMLButtonElement).disabled).toBe(false));
  fireEvent.click(screen.getByTestId("train"));
  await waitFor(() => expect(backend.runs.get("run-2")?.spec?.startFrom?.policyId).toBe("policy-1"));
  expect(backend.runs.get("run-2")?.spec?.settings?.envSteps).toBe(1_500_000n);
});

test("given a run that has ended, when it is deleted and that is taken back, then it is there again and was never gone", async () => {
  await start();
  enter(RunState.SUCCEEDED);
  fireEvent.click(await screen.findByTestId("delete-run"));
  await waitFor(() => expect(screen.queryByTestId("run-panel")).toBeNull());
  fireEvent.click(screen.getByTestId("history"));
  await screen.findByText(/^Runs appear here/);
  fireEvent.click(screen.getByText("Undo"));
  fireEvent.click(await screen.findByTestId("work-run"));
  expect(await screen.findByTestId("run-panel")).toBeTruthy();
  expect(backend.runs.has("run-1")).toBe(true);
});

test("given a run, when notes and tags are written, then they are kept with it", async () => {
  await start();
  fireEvent.change(screen.getByTestId("add-tag"), { target: { value: " smooth " } });
  fireEvent.keyDown(screen.getByTestId("add-tag"), { key: "Enter" });
  await waitFor(() => expect(backend.runs.get("run-1")?.tags).toEqual(["smooth"]));
  fireEvent.change(screen.getByTestId("notes"), { target: { value: "leans" } });
  fireEvent.blur(screen.getByTestId("notes"));
  await waitFor(() => expect(backend.runs.get("run-1")?.notes).toBe("leans"));
  expect(backend.runs.get("run-1")?.tags).toEqual(["smooth"]);
});

test("given notes that are being written, when the page goes back and comes again, then they are there, and are kept with the run", async () => {
  await start();
  fireEvent.change(screen.getByTestId("notes"), { target: { value: "leans to the left" } });
  window.history.back();
  await waitFor(() => expect(screen.queryByTestId("run-panel")).toBeNull());
  window.history.forward();
  expect(((await screen.findByTestId("notes")) as HTMLTextAreaElement).value).toBe("leans to the left");
  await waitFor(() => expect(backend.runs.get("run-1")?.notes).toBe("leans to the left"));
});

test("given tags, when two are added one right after the other, then both are kept", async () => {
  await start();
  for (const tag of ["smooth", "slow"]) {
    fireEvent.change(screen.getByTestId("add-tag"), { target: { value: tag } });
    fireEvent.keyDown(screen.getByTestId("add-tag"), { key: "Enter" });
  }
  await waitFor(() => expect(backend.runs.get("run-1")?.tags).toEqual(["smooth", "slow"]));
});

test("given a log, when only warnings are wanted, then the other lines are left out", async () => {
  await start();
  backend.append("run-1", { case: "log", value: { level: LogLevel.INFO, text: "compiled" } });
  backend.append("run-1", { case: "log", value: { level: LogLevel.WARNING, text: "slow disk" } });
  const log = await screen.findByTestId("run-log");
  await waitFor(() => expect(log.querySelectorAll("li").length).toBe(2));
  fireEvent.change(screen.getByTestId("log-level"), { target: { value: LogLevel.WARNING } });
  expect([...log.querySelectorAll("li")].map(({ textContent }) => textContent)).toEqual(["slow disk"]);
});

test("given a run on a rented GPU, when metrics tell its cost, then it is shown", async () => {
  await start();
  backend.append("run-1", { case: "metrics", value: { envSteps: 1000n, costUsd: 0.042 } });
  await waitFor(() => expect(screen.getByTestId("run-panel").textContent).toContain("Cost so far$0.04"));
});

test("given a trained run and an LLM, when it is improved on, then old and new are compared and the new one can be used", async () => {
  await start();
  publish();
  enter(RunState.SUCCEEDED);
  fireEvent.click(await screen.findByTestId("improve"));
  fireEvent.change(screen.getByTestId("improve-remark"), { target: { value: "it wastes force" } });
  fireEvent.click(screen.getByTestId("improve-write"));
  const changes = await screen.findByTestId("weight-changes");
  expect([...changes.querySelectorAll<HTMLElement>("tbody tr")].map(({ dataset }) => dataset.kind)).toEqual([
    "same",
    "same",
    "changed",
  ]);
  expect(screen.getByTestId("improvement").textContent).toContain("Because it wastes force");
  fireEvent.click(screen.getByTestId("use-improvement"));
  await waitFor(() => expect(window.location.search).toContain("reward=reward-2"));
});

test("given the library alone, when a run is to be improved on, then the page says what is needed", async () => {
  backend = createBackend();
  await start();
  enter(RunState.SUCCEEDED);
  fireEvent.click(await screen.findByTestId("improve"));
  expect((await screen.findByTestId("improve-needs-llm")).textContent).toContain("TABRL_LLM_MODEL");
});

test("given a robot that takes commands and a policy of its own task, when it is tried now, then that policy plays without training", async () => {
  backend = createBackend({ robotMissing: false });
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "Go1JoystickFlatTerrain" } });
  const sha256 = "e".repeat(64);
  backend.append("run-1", { case: "checkpoint", value: { envSteps: 9n, artifact: { sha256 }, final: true } });
  backend.putPolicy({ policyId: "policy-1", environmentId: "Go1JoystickFlatTerrain", runId: "run-1" });
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "policy-1" } });
  enter(RunState.SUCCEEDED);

  openPage(backend, "/?env=Go1JoystickFlatTerrain");
  fireEvent.click(await screen.findByTestId("own-reward"));
  await waitFor(() => expect(screen.getByTestId("tier-command").dataset.missing).toBe("false"));
  fireEvent.click(screen.getByTestId("tier-command"));
  fireEvent.click(screen.getByTestId("play-command"));
  expect((await screen.findByTestId("command-hint")).textContent).toContain("Steer");
  expect(window.location.search).toContain("policy=policy-1");
  expect(backend.runs.size).toBe(1);
});

test("given a deleted run, when the person goes back to it before it is gone for good, then the page leaves it once it is", async () => {
  await start();
  enter(RunState.SUCCEEDED);
  await stateIs("SUCCEEDED");
  fireEvent.click(screen.getByTestId("own-reward"));
  await waitFor(() => expect(place().get("reward")).toBeNull());
  fireEvent.click(await screen.findByTestId("delete-run"));
  await waitFor(() => expect(place().get("run")).toBeNull());
  window.history.back();
  await waitFor(() => expect(place().get("run")).toBe("run-1"));

  fireEvent(window, new Event("pagehide"));
  await waitFor(() => expect(backend.runs.has("run-1")).toBe(false));
  await waitFor(() => expect(place().get("run")).toBeNull());
  expect(place().get("reward")).toBe("reward-1");
});

test("given a run whose deletion the service refuses, when it would be carried out, then it is back and says why", async () => {
  await start();
  enter(RunState.SUCCEEDED);
  fireEvent.click(await screen.findByTestId("delete-run"));
  await waitFor(() => expect(screen.queryByTestId("run-panel")).toBeNull());
  backend.setDown("trainer", true);
  fireEvent(window, new Event("pagehide"));
  expect(await screen.findByTestId("run-panel")).toBeTruthy();
  expect((await screen.findAllByTestId("error")).length).toBeGreaterThan(0);
  expect(backend.runs.has("run-1")).toBe(true);

  // which can be dismissed, and the run stays
  backend.setDown("trainer", false);
  fireEvent.click(await screen.findByRole("button", { name: "Dismiss" }));
  await waitFor(() => expect(screen.queryByRole("button", { name: "Dismiss" })).toBeNull());
  expect(screen.getByTestId("run-panel")).toBeTruthy();
});

test("given advice from when a reward was written, when it was trained for since, then it is given no more", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  fireEvent.change(await screen.findByTestId("prompt"), { target: { value: "stay upright" } });
  fireEvent.click(screen.getByTestId("generate"));
  await screen.findByTestId("reward-terms");
  const written = backend.rewards.get("reward-1");
  if (!written) throw new Error("no reward was written");
  written.tier = create(TierRecommendationSchema, {
    tier: Tier.FULL,
    reason: "No policy here does anything like it yet.",
  });
  closePage();
  preparePage();

  openPage(backend, "/?env=CartpoleBalance&reward=reward-1");
  await screen.findByText("Suggested");
  fireEvent.click(screen.getByTestId("train"));
  await screen.findByTestId("run-panel");
  enter(RunState.RUNNING);
  publish();
  enter(RunState.SUCCEEDED);
  await waitFor(() => expect(screen.queryByText("Suggested")).toBeNull());
  fireEvent.click(await screen.findByText("Train it again"));
  expect(screen.queryByText("Suggested")).toBeNull();
});

test("given a run that has failed, when its page is opened, then what is said of it comes into view", async () => {
  await start();
  enter(RunState.FAILED);
  await stateIs("FAILED");
  closePage();
  preparePage();
  const shown: Element[] = [];
  Element.prototype.scrollIntoView = function () {
    shown.push(this);
  };

  openPage(backend, "/?env=CartpoleBalance&run=run-1");
  await stateIs("FAILED");
  await waitFor(() => expect(shown.map((part) => part.contains(screen.getByTestId("run-panel")))).toContain(true));
});
