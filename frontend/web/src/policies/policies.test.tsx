// @vitest-environment jsdom
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EnvironmentSchema } from "../gen/tabrl/scene/v1/scene_pb";
import { type RunErrorSchema, RunSpecSchema, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";
import { returnOf, returnScale, whatReturnIs } from "./episodeReturn";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(async () => {
  preparePage();
  backend = createBackend();
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
  enter(RunState.RUNNING);
});

afterEach(closePage);

const enter = (state: RunState) => backend.append("run-1", { case: "stateChanged", value: { state } });

function write(steps: number, episodeReturn: number, final = false): string {
  const sha256 = steps.toString(16).padStart(64, "0");
  const value = { envSteps: BigInt(steps), artifact: { sha256 }, episodeReturn, final };
  backend.append("run-1", { case: "checkpoint", value });
  return sha256;
}

function publish(steps: number, episodeReturn: number, final = false): void {
  const checkpointSha256 = write(steps, episodeReturn, final);
  const policyId = `policy-${steps}`;
  backend.putPolicy({ policyId, environmentId: "CartpoleBalance", runId: "run-1", envSteps: BigInt(steps) });
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256, policyId } });
}

function refuse(steps: number, error: MessageInitShape<typeof RunErrorSchema>): void {
  const checkpointSha256 = write(steps, 0, true);
  const value = { envSteps: BigInt(steps), checkpointSha256, error, final: true };
  backend.append("run-1", { case: "policyRefused", value });
}

const chosen = () =>
  screen.getAllByTestId("checkpoint-item").find((mark) => mark.dataset.chosen === "true")?.dataset.policyId;

test("given a run, while it trains the newest policy plays, and once it has ended the best, marked as such", async () => {
  publish(1000, 300);
  publish(2000, 900);
  publish(3000, 900);
  publish(4000, 500);
  openPage(backend, "/?run=run-1");
  await waitFor(() => expect(chosen()).toBe("policy-4000"));
  expect(screen.queryByTestId("best")).toBeNull();

  enter(RunState.SUCCEEDED);
  await waitFor(() => expect(chosen()).toBe("policy-3000"));
  const best = screen.getByTestId("best").closest<HTMLElement>("[data-testid=checkpoint-item]");
  expect(best?.dataset.policyId).toBe("policy-3000");
  expect(best?.textContent).toContain("return 900 of 1000");
  expect(screen.getByTestId("scrub").getAttribute("aria-valuetext")).toBe("3k steps, return 900 of 1000");
});

test("given a name that is being typed for a policy, when training publishes a newer one, then what was typed stays, for that policy", async () => {
  publish(1000, 300);
  openPage(backend, "/?run=run-1");
  await waitFor(() => expect(chosen()).toBe("policy-1000"));
  fireEvent.click(await screen.findByTestId("register-open"));
  fireEvent.change(screen.getByTestId("register-name"), { target: { value: "pole-up" } });
  publish(2000, 900);
  await waitFor(() => expect(chosen()).toBe("policy-2000"));
  expect((screen.getByTestId("register-name") as HTMLInputElement).value).toBe("pole-up");
  fireEvent.click(screen.getByTestId("register"));
  await screen.findByTestId("registered");
  const { registered } = await createClients(backend.transport).registry.getRegisteredPolicy({ name: "pole-up" });
  expect(registered?.versions[0]?.policy?.policyId).toBe("policy-1000");
});

test("given a name that is being typed for a policy, when another policy or run is chosen by hand, then the form is gone, so that it names no other than is shown", async () => {
  publish(1000, 300);
  publish(2000, 900);
  enter(RunState.SUCCEEDED);
  const { trainer } = createClients(backend.transport);
  await trainer.createRun({ spec: { environmentId: "CartpoleBalance", title: "another" } });
  const sha256 = "e".repeat(64);
  backend.append("run-2", { case: "checkpoint", value: { envSteps: 5n, artifact: { sha256 }, final: true } });
  backend.putPolicy({ policyId: "other", environmentId: "CartpoleBalance", runId: "run-2", envSteps: 5n });
  backend.append("run-2", { case: "policyPublished", value: { checkpointSha256: sha256, policyId: "other" } });
  backend.append("run-2", { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  openPage(backend, "/?run=run-1");
  await waitFor(() => expect(chosen()).toBe("policy-2000"));
  fireEvent.click(await screen.findByTestId("register-open"));
  await screen.findByTestId("register-form");
  fireEvent.keyDown(screen.getByTestId("scrub"), { key: "Home" });
  await waitFor(() => expect(window.location.search).toContain("policy=policy-1000"));
  await waitFor(() => expect(screen.queryByTestId("register-form")).toBeNull());

  fireEvent.click(screen.getByTestId("register-open"));
  await screen.findByTestId("register-form");
  fireEvent.click(await screen.findByTestId("earlier-run"));
  await waitFor(() => expect(chosen()).toBe("other"));
  await screen.findByTestId("register-open");
  expect(screen.queryByTestId("register-form")).toBeNull();
});

test("given a policy that the person chose, when the run ends, then it stays chosen", async () => {
  publish(1000, 300);
  publish(2000, 900);
  openPage(backend, "/?run=run-1");
  fireEvent.keyDown(await screen.findByTestId("scrub"), { key: "Home" });
  await waitFor(() => expect(window.location.search).toContain("policy=policy-1000"));
  enter(RunState.SUCCEEDED);
  await screen.findByTestId("best");
  expect(chosen()).toBe("policy-1000");
  expect(window.location.search).toContain("policy=policy-1000");
});

test("given a last policy that was refused for good, when the run has ended, then the page says so and why", async () => {
  publish(1000, 300);
  refuse(2000, { reason: "PARITY_FAILED", message: "The output ctrl differs by 0.3." });
  enter(RunState.SUCCEEDED);
  openPage(backend, "/?run=run-1");
  const panel = await screen.findByTestId("run-panel");
  await waitFor(() => expect(panel.textContent).toContain("Done, but the last policy was refused."));
  expect(panel.textContent).toMatch(/after 2,000 steps gives no policy: The output ctrl differs by 0\.3\./);
  expect(panel.textContent).toContain("does not match its training");
  expect(panel.textContent).not.toContain("not published yet");
  await waitFor(() => expect(chosen()).toBe("policy-1000"));
});

test("given its own task or a reward that a person wrote, when a return is told, then its most is where there is one", () => {
  const timing = { episodeLength: 1000, controlPeriodSecs: 0.02 };
  const environment = create(EnvironmentSchema, { summary: { category: "dm_control_suite" }, timing });
  const own = returnScale(environment, create(RunSpecSchema));
  const written = returnScale(environment, create(RunSpecSchema, { reward: {} }));
  expect(returnOf(812.4, own)).toBe("812 of 1000");
  expect(returnOf(812.4, written)).toBe("812");
  expect(whatReturnIs(own).replaceAll("\u00a0", " ")).toContain("up to 1,000 steps (20 s), at most 1,000");
});
