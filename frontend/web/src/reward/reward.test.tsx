// @vitest-environment jsdom
import { create } from "@bufbuild/protobuf";
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RewardTermSchema } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";
import { sliderRange, worthOf } from "./worth";

vi.mock("../player", () => ({ RobotStage: () => null }));

let backend: Backend;

beforeEach(() => {
  preparePage();
  backend = createBackend();
});

afterEach(closePage);

async function say(prompt: string, button: string) {
  fireEvent.change(await screen.findByTestId("prompt"), { target: { value: prompt } });
  fireEvent.click(screen.getByTestId(button));
}

const cards = () => screen.findAllByTestId("approach");

test("given words, when three approaches are shown and one is chosen, then it is the reward and says so", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate-approaches");
  await waitFor(async () =>
    expect((await cards()).map(({ dataset }) => dataset.status)).toEqual(Array(3).fill("sealed")),
  );
  const second = (await cards())[1] as HTMLElement;
  expect(second.textContent).toContain("Smooth");
  expect(second.textContent).toContain("It keeps the pole up.");
  expect(within(second).getByRole("listitem", { name: /^Centred: 20\s%$/ })).toBeTruthy();

  fireEvent.click(within(second).getByTestId("use-approach"));
  expect(await screen.findByTestId("reward-terms")).toBeTruthy();
  expect(window.location.search).toContain(`reward=${[...backend.rewards.keys()][1]}`);
  expect((await cards()).map(({ dataset }) => dataset.used)).toEqual(["false", "true", "false"]);
});

test("given approaches of which one is the same and one fails, then both are said on their cards", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("alike and broken", "generate-approaches");
  await waitFor(async () => expect((await cards())[1]?.textContent).toContain("the same as approach 1"));
  await waitFor(async () => expect((await cards())[2]?.textContent).toContain("the model took too long."));
  expect((await cards())[2]?.textContent).toContain("built-in library");
  expect(await screen.findByTestId("retry-approaches")).toBeTruthy();
});

test("given approaches, when the page is opened again in the same tab, then they are still there", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate-approaches");
  await waitFor(() => expect(screen.getByTestId("approaches").dataset.status).toBe("done"));
  const kept = sessionStorage.getItem("tabrl.approaches") ?? "";
  closePage();
  preparePage();
  sessionStorage.setItem("tabrl.approaches", kept);
  openPage(backend, "/?env=CartpoleBalance");
  await waitFor(() => expect(screen.getByTestId("approaches").dataset.status).toBe("done"));
});

test("given a weight that is slid, then it is marked, and goes back to what was written", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate");
  const term = () =>
    screen.getByTestId("reward-terms").querySelector<HTMLElement>("[data-term=centred]") as HTMLElement;
  await screen.findByTestId("reward-terms");
  const slider = within(term()).getByRole("slider") as HTMLInputElement;
  expect([slider.min, slider.max]).toEqual(["0", "1.5"]);
  expect((screen.getByTestId("reset-weights") as HTMLButtonElement).disabled).toBe(true);

  fireEvent.change(slider, { target: { value: "1.2" } });
  expect(term().dataset.changed).toBe("true");
  expect((within(term()).getByRole("spinbutton") as HTMLInputElement).value).toBe("1.2");
  fireEvent.click(within(term()).getByTestId("reset-weight"));
  expect(term().dataset.changed).toBe("false");
});

test("given a weight of 1, when it is slid by one step, then it is that step more", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate");
  const terms = await screen.findByTestId("reward-terms");
  const upright = terms.querySelector<HTMLElement>("[data-term=upright]") as HTMLElement;
  const weight = within(upright).getByRole("spinbutton") as HTMLInputElement;
  expect(weight.value).toBe("1");
  fireEvent.change(within(upright).getByRole("slider"), { target: { value: "1.02" } });
  expect(weight.value).toBe("1.02");
});

test("given a reward that is being written, when another robot is opened, then nothing is written there, and the reward is there on coming back", async () => {
  backend = createBackend({ stepMs: 100 });
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate");
  fireEvent.click(await screen.findByTestId("robots"));
  fireEvent.click(await screen.findByTestId("env-card-WalkerWalk"));
  await screen.findByTestId("prompt");
  expect(screen.queryByTestId("generation-progress")).toBeNull();
  expect(screen.getByTestId("generate")).toHaveProperty("disabled", false);

  await waitFor(() => expect(backend.rewards.size).toBe(1));
  fireEvent.click(screen.getByTestId("robots"));
  fireEvent.click(await screen.findByTestId("env-card-CartpoleBalance"));
  expect(await screen.findByTestId("reward-terms")).toBeTruthy();
  expect(window.location.search).toBe("?env=CartpoleBalance&reward=reward-1");
});

test("given a reward that was refused, when another robot is opened, then nothing is said of it there", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("juggle three balls", "generate");
  await screen.findByTestId("error");
  fireEvent.click(screen.getByTestId("robots"));
  fireEvent.click(await screen.findByTestId("env-card-WalkerWalk"));
  await screen.findByTestId("prompt");
  expect(screen.queryByTestId("error")).toBeNull();
});

test("given several weights that are changed, when they are all set back, then none of them stays changed", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate");
  const terms = await screen.findByTestId("reward-terms");
  const changed = () => terms.querySelectorAll("[data-changed=true]").length;
  const sliders = within(terms).getAllByRole("slider");
  expect(sliders.length).toBeGreaterThan(1);
  for (const slider of sliders) fireEvent.change(slider, { target: { value: "0" } });
  expect(changed()).toBe(sliders.length);
  fireEvent.click(screen.getByTestId("reset-weights"));
  expect(changed()).toBe(0);
});

test("given words that were said before, when they are chosen, then they are in the field", async () => {
  openPage(backend, "/?env=CartpoleBalance");
  await say("stay upright", "generate");
  await screen.findByTestId("reward-terms");
  fireEvent.change(screen.getByTestId("prompt"), { target: { value: "something else" } });
  fireEvent.click(await screen.findByTestId("earlier-prompt"));
  expect((screen.getByTestId("prompt") as HTMLTextAreaElement).value).toBe("stay upright");
});

test("given terms that were tried, then their worth counts how large they get; without trials, weights alone", () => {
  const term = (name: string, weight: number, high?: number) =>
    create(RewardTermSchema, { name, weight, ...(high === undefined ? {} : { trial: { low: 0, high } }) });
  const tried = worthOf([term("speed", 1, 3), term("effort", -1, 1)], {});
  expect(tried).toMatchObject({
    tried: true,
    terms: [
      { share: 0.75, cost: false },
      { share: 0.25, cost: true },
    ],
  });
  const untried = worthOf([term("speed", 1, 3), term("effort", -1)], { effort: -3 });
  expect(untried).toMatchObject({ tried: false, terms: [{ share: 0.25 }, { share: 0.75 }] });
  expect(worthOf([term("speed", 0, 1)], {}).terms[0]?.share).toBe(0);
});

test.each([
  [2, 2, [0, 6]],
  [-0.5, -0.5, [-1.5, 0]],
  [0, 0, [0, 1]],
  [1, 40, [0, 40]],
])("given a weight written as %d and now %d, then its slider goes over %j", (written, value, range) => {
  expect(sliderRange(written, value)).toEqual(range);
});
