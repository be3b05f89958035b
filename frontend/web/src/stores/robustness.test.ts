import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { SceneBundleSchema } from "../gen/tabrl/scene/v1/scene_pb";
import type { RobustnessReport } from "../player/robustness";
import { eventually } from "../testing/eventually";
import type { Kept } from "./kept";
import { createRobustness, type MeasureRobustness, robustnessScore } from "./robustness";

const REPORT: RobustnessReport = {
  trials: [
    { disturbance: "none", survival: 0, relativeReturn: 0 },
    { disturbance: "pushes", survival: 1, relativeReturn: 1.2 },
    { disturbance: "delay", survival: 0.5, relativeReturn: null },
  ],
};
const bundle = create(SceneBundleSchema, {});
const policy = (sha256: string) => create(PolicySchema, { controller: { sha256 } });

function memory(): Kept {
  const texts = new Map<string, string>();
  return { read: (key) => texts.get(key) ?? "", write: (key, text) => void texts.set(key, text) };
}

test("given a measurement, when the page is opened again, then its report is there by the controller's digest", async () => {
  const kept = memory();
  await createRobustness(async () => REPORT, kept).measure(policy("a"), bundle);
  const reopened = createRobustness(async () => REPORT, kept);
  expect(reopened.store.get().get("a")).toMatchObject({ status: "done", report: REPORT });
  expect(reopened.store.get().get("b")).toBeUndefined();
});

test("given two policies, when both are to be measured, then one is after the other and each tells how far it is", async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const measure: MeasureRobustness = ({ controller }, _, { onProgress }) => {
    begun.push(controller?.sha256 ?? "");
    onProgress(0.5);
    return new Promise((resolve) => ends.push(() => resolve(REPORT)));
  };
  const reports = createRobustness(measure, memory());
  void reports.measure(policy("a"), bundle);
  const both = reports.measure(policy("b"), bundle);
  await eventually(() => expect(reports.store.get().get("a")?.progress).toBe(0.5));
  expect(begun).toEqual(["a"]);
  expect(reports.store.get().get("b")).toMatchObject({ status: "running", progress: 0 });
  ends[0]?.();
  await eventually(() => expect(begun).toEqual(["a", "b"]));
  ends[1]?.();
  await both;
  expect(reports.store.get().get("b")?.status).toBe("done");
});

test("given a measurement under way, when it is cancelled, then nothing of it stays and what waits goes on", async () => {
  const measure = vi.fn<MeasureRobustness>(
    ({ controller }, _, { signal }) =>
      new Promise((resolve, reject) => {
        if (controller?.sha256 === "b") resolve(REPORT);
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
  );
  const reports = createRobustness(measure, memory());
  void reports.measure(policy("a"), bundle);
  const both = reports.measure(policy("b"), bundle);
  await eventually(() => expect(measure).toHaveBeenCalledTimes(1));
  reports.cancel("a");
  await both;
  expect(reports.store.get().get("a")).toBeUndefined();
  expect(reports.store.get().get("b")?.status).toBe("done");
});

test("given a measurement that waits for another, when it is cancelled, then it waits no more, and can be asked for again at once", async () => {
  const ends: (() => void)[] = [];
  const begun: string[] = [];
  const measure: MeasureRobustness = ({ controller }) => {
    begun.push(controller?.sha256 ?? "");
    return new Promise((resolve) => ends.push(() => resolve(REPORT)));
  };
  const reports = createRobustness(measure, memory());
  void reports.measure(policy("a"), bundle);
  void reports.measure(policy("b"), bundle);
  await eventually(() => expect(begun).toEqual(["a"]));

  reports.cancel("b");
  expect(reports.store.get().get("b")).toBeUndefined();
  const again = reports.measure(policy("b"), bundle);
  expect(reports.store.get().get("b")?.status).toBe("running");
  ends[0]?.();
  await eventually(() => expect(begun).toEqual(["a", "b"]));
  ends[1]?.();
  await again;
  expect(reports.store.get().get("b")?.status).toBe("done");
  expect(begun).toEqual(["a", "b"]);
});

test("given a failure, when it is told, then the report of the time before stays with the reason", async () => {
  let fails = false;
  const reports = createRobustness(async () => {
    if (fails) throw new Error("the worker ended");
    return REPORT;
  }, memory());
  await reports.measure(policy("a"), bundle);
  fails = true;
  await reports.measure(policy("a"), bundle);
  expect(reports.store.get().get("a")).toMatchObject({
    status: "failed",
    problem: "the worker ended",
    report: REPORT,
  });
});

test("given what cannot be read, when the page opens, then it begins with nothing", () => {
  const broken: Kept = { read: () => "{", write: () => undefined };
  expect(createRobustness(async () => REPORT, broken).store.get().size).toBe(0);
});

test("given a report, when it is one number, then the undisturbed episodes are left out and luck counts no more than all", () => {
  expect(robustnessScore(REPORT)).toBeCloseTo((1 + 1 + 0.5) / 3);
});
