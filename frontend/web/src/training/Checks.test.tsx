// @vitest-environment jsdom
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { TermWarningKind, TrainingMetricsSchema } from "../gen/tabrl/trainer/v1/trainer_pb";
import { Checks, isShown } from "./Checks";

afterEach(cleanup);

function show(metrics: MessageInitShape<typeof TrainingMetricsSchema>) {
  return render(
    <Checks metrics={create(TrainingMetricsSchema, metrics)} termNames={["upright", "calm"]} highlighted="" />,
  );
}

test("given terms of a reward, then each has its part of a bar and says how large it is", () => {
  show({
    termStatistics: { upright: { mean: 0.8, std: 0.1, share: 0.75 }, calm: { mean: -0.2, std: 0.05, share: 0.25 } },
    survival: 1,
  });
  expect(screen.getAllByRole("listitem").map(({ style }) => style.flexGrow)).toEqual(["0.75", "0.25"]);
  expect(screen.getByLabelText(/^Upright: 75\s% of the reward, 0.8 ± 0.1 a step$/)).toBeTruthy();
  expect(screen.getByTestId("checks").textContent).toBe("Share of reward");
});

test("given episodes that end early and returns that stand still, then both are said", () => {
  show({ survival: 0.4, episodeShare: 0.625, plateauSinceEnvSteps: 1_200_000n });
  expect(screen.getByTestId("checks").textContent).toBe(
    "40\u00a0% of the episodes last their whole time, 63\u00a0% of it on average. No better since 1.2M steps.",
  );
});

test("given an easier form of the task, then it is said until when", () => {
  show({ survival: 1, easierUntilEnvSteps: 2_600_000n });
  expect(screen.getByTestId("checks").textContent).toBe(
    "An easier form of the task until step 2.6M; returns are of that form.",
  );
});

test("given a warning, then it is shown once, and nothing where there is nothing to say", () => {
  const text = "The term 'calm' makes up 97.0 % of the reward, so the others hardly count.";
  const warnings = [{ kind: TermWarningKind.DOMINATES, term: "calm", text }];
  show({ warnings });
  expect(screen.getByText(text)).toBeTruthy();
  expect(isShown(text.replace("97", "98"), create(TrainingMetricsSchema, { warnings }).warnings)).toBe(true);
  expect(isShown("The worker was killed.", create(TrainingMetricsSchema, { warnings }).warnings)).toBe(false);
  cleanup();
  expect(show({}).container.textContent).toBe("");
});
