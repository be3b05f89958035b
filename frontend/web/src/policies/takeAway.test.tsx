// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

const MANIFEST_SHA256 = "e".repeat(64);

let backend: Backend;
let saved: { readonly href: string; readonly name: string }[];

beforeEach(async () => {
  preparePage();
  saved = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push({ href: new URL(this.href).pathname, name: this.download });
  });
  backend = createBackend();
  await createClients(backend.transport).trainer.createRun({ spec: { environmentId: "CartpoleBalance" } });
  const checkpointSha256 = "1".repeat(64);
  backend.append("run-1", { case: "checkpoint", value: { envSteps: 1000n, artifact: { sha256: checkpointSha256 } } });
  backend.putPolicy({
    policyId: "policy-1",
    environmentId: "CartpoleBalance",
    runId: "run-1",
    manifest: { sha256: MANIFEST_SHA256 },
    parity: {
      states: 512,
      passed: true,
      outputs: [
        { name: "ctrl", maxDifference: 3e-7, tolerance: 1e-5 },
        { name: "term.upright", maxDifference: 0, tolerance: 1e-5 },
      ],
      closedLoop: {
        secs: 10,
        passed: true,
        episodes: [{ reset: 0, controllerReturn: 991, sourceReturn: 992, controllerSteps: 1000, togetherSecs: 9.5 }],
      },
    },
  });
  backend.append("run-1", { case: "policyPublished", value: { checkpointSha256, policyId: "policy-1" } });
  backend.append("run-1", { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
  openPage(backend, "/?run=run-1&policy=policy-1");
  await screen.findByTestId("take-bundle");
});

afterEach(() => {
  closePage();
  vi.restoreAllMocks();
});

test("given a policy, when the person takes its controller, then the manifest that plays it comes with it", async () => {
  fireEvent.click(screen.getByTestId("take-controller"));
  await waitFor(() =>
    expect(saved).toEqual([
      { href: `/artifacts/${"1".padStart(64, "0")}`, name: "CartpoleBalance-policy-1.onnx" },
      { href: `/artifacts/${MANIFEST_SHA256}`, name: "CartpoleBalance-policy-1.manifest.json" },
    ]),
  );
});

test("given a smaller form, when the person takes it, then it comes with a manifest of its own", async () => {
  fireEvent.click(screen.getByTestId("take-fp16"));
  await waitFor(() =>
    expect(saved).toEqual([
      { href: `/artifacts/${"2".padStart(64, "0")}`, name: "CartpoleBalance-policy-1-fp16.onnx" },
      { href: `/artifacts/${"2".padStart(64, "f")}`, name: "CartpoleBalance-policy-1-fp16.manifest.json" },
    ]),
  );
});

test("given a form without a manifest, when the person takes it, then one file is saved", async () => {
  fireEvent.click(screen.getByTestId("take-weights"));
  await waitFor(() => expect(saved.map(({ name }) => name)).toEqual(["CartpoleBalance-policy-1-weights.zip"]));
});

test("given a machine that cannot draw, when the person shares, then the file is saved and what it lacks is said", async () => {
  fireEvent.click(screen.getByTestId("take-bundle"));
  await screen.findByText("The video: this machine cannot draw.");
  expect(saved.map(({ name }) => name)).toEqual(["policy-1.tabrl"]);
});

test("given an Exporter that is away, when the person takes a file, then it says so and offers to try again", async () => {
  backend.setDown("exporter", true);
  fireEvent.click(screen.getByTestId("take-int8"));
  const retry = await screen.findByText(/^Try again/, {}, { timeout: 5000 });
  backend.setDown("exporter", false);
  await waitFor(() => expect((retry as HTMLButtonElement).disabled).toBe(false), { timeout: 5000 });
  fireEvent.click(retry);
  await waitFor(() => expect(saved.map(({ name }) => name)).toContain("CartpoleBalance-policy-1-int8.onnx"));
});

test("given the report of the gate, when it is opened, then every output and every episode is in it", () => {
  const report = screen.getByTestId("parity");
  expect(report.textContent).toContain("on 512 states");
  expect(report.textContent).toContain("tried for 10 s at a time");
  expect(report.querySelectorAll("tbody tr")).toHaveLength(3);
  expect(report.textContent).toContain("Term · Upright");
  expect(report.textContent).toContain("3e-7");
});
