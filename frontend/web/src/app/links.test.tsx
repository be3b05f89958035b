// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createClients } from "../rpc/clients";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";
import { GALLERY } from "./location";
import { settled } from "./settlement";

vi.mock("../player", () => ({ RobotStage: () => null }));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(() => {
  preparePage();
  backend = createBackend();
});

afterEach(closePage);

const WALKER = { environmentId: "WalkerWalk" };
const CARTPOLE = { environmentId: "CartpoleBalance" };

test.each([
  [{ ...CARTPOLE, runId: "r" }, { run: WALKER }, { ...WALKER, runId: "r" }],
  [{ ...CARTPOLE, policyId: "p" }, { policy: { ...WALKER, runId: "r" } }, { ...WALKER, runId: "r", policyId: "p" }],
  [
    { ...CARTPOLE, runId: "other", policyId: "p" },
    { policy: { ...WALKER, runId: "r" } },
    { ...WALKER, runId: "r", policyId: "p" },
  ],
  [
    { ...CARTPOLE, rewardId: "w", runId: "r" },
    { run: CARTPOLE, reward: WALKER },
    { ...CARTPOLE, runId: "r" },
  ],
  [{ ...CARTPOLE, rewardId: "w" }, { reward: WALKER }, { ...WALKER, rewardId: "w" }],
  [
    { ...CARTPOLE, rewardId: "w", runId: "r" },
    { run: CARTPOLE, reward: CARTPOLE },
    { ...CARTPOLE, rewardId: "w", runId: "r" },
  ],
])("given the link %o, when it is known that %o, then it means %o", (link, known, meant) => {
  expect(settled({ ...GALLERY, ...link }, known)).toEqual({ ...GALLERY, ...meant });
});

test("given a link to a run with another robot and another run's reward, when it is opened, then the run decides", async () => {
  const { rewards, trainer } = createClients(backend.transport);
  const written = async (environmentId: string, prompt: string) =>
    (await rewards.compileReward({ environmentId, source: "def reward(): ...", prompt })).reward?.rewardId ?? "";
  const walking = await written("WalkerWalk", "walk");
  const balancing = await written("CartpoleBalance", "balance");
  await trainer.createRun({ spec: { environmentId: "WalkerWalk", reward: { rewardId: walking } } });

  openPage(backend, `/?env=CartpoleBalance&reward=${balancing}&run=run-1`);

  await waitFor(() => expect(window.location.search).toBe(`?env=WalkerWalk&reward=${walking}&run=run-1`));
  expect(await screen.findByTestId("run-panel")).toBeTruthy();
});

test.each([
  ["/?run=nowhere", "no such run", "All robots"],
  ["/?policy=nowhere", "no such policy", "All robots"],
  ["/?env=CartpoleBalance&run=nowhere", "no such run", "Go on without it"],
  ["/?env=CartpoleBalance&policy=nowhere", "no such policy", "Go on without it"],
  ["/?env=CartpoleBalance&reward=nowhere", "no such reward", "Go on without it"],
])(
  "given the link %s, when there is no such thing, then the page says so and offers a way on",
  async (href, said, way) => {
    openPage(backend, href);
    expect((await screen.findByTestId("error")).textContent?.toLowerCase()).toContain(said);
    fireEvent.click(screen.getAllByText(way).at(-1) as HTMLElement);
    await waitFor(() => expect(screen.queryByTestId("error")).toBeNull());
    expect(window.location.search).toBe(href.includes("env=") ? "?env=CartpoleBalance" : "");
  },
);

test.each(["/?policy=walk", "/?env=WalkerWalk&run=deleted&policy=walk"])(
  "given a policy whose run was deleted, when %s is followed, then the policy is shown and nothing is missed",
  async (link) => {
    backend.putPolicy({ policyId: "walk", environmentId: "WalkerWalk", runId: "deleted" });
    openPage(backend, link);
    await waitFor(() => expect(window.location.search).toBe("?env=WalkerWalk&policy=walk"));
    await new Promise((done) => setTimeout(done, 60));
    expect(window.location.search).toBe("?env=WalkerWalk&policy=walk");
    expect(screen.queryByTestId("error")).toBeNull();
  },
);

test("given a policy for a reward whose run was deleted, when it is opened, then it brings its reward with the words, until that is put aside", async () => {
  const { rewards } = createClients(backend.transport);
  const source = "def reward(): ...";
  const written = await rewards.compileReward({ environmentId: "WalkerWalk", source, prompt: "walk backwards" });
  const rewardId = written.reward?.rewardId ?? "";
  backend.putPolicy({ policyId: "walk", environmentId: "WalkerWalk", runId: "deleted", reward: { rewardId } });
  openPage(backend, "/?policy=walk");
  await screen.findByTestId("reward-terms");
  expect(window.location.search).toBe(`?env=WalkerWalk&reward=${rewardId}&policy=walk`);
  expect((screen.getByTestId("prompt") as HTMLTextAreaElement).value).toBe("walk backwards");

  fireEvent.click(screen.getByTestId("own-reward"));
  await waitFor(() => expect(window.location.search).toBe("?env=WalkerWalk&policy=walk"));
  await new Promise((done) => setTimeout(done, 60));
  expect(window.location.search).toBe("?env=WalkerWalk&policy=walk");
});

test("given a policy that was imported, when it is opened, then no reward of where it comes from is looked for", async () => {
  const elsewhere = { reward: { rewardId: "elsewhere" }, imported: { policyId: "elsewhere" } };
  backend.putPolicy({ policyId: "walk", environmentId: "WalkerWalk", ...elsewhere });
  openPage(backend, "/?policy=walk");
  await waitFor(() => expect(window.location.search).toBe("?env=WalkerWalk&policy=walk"));
  await new Promise((done) => setTimeout(done, 60));
  expect(window.location.search).toBe("?env=WalkerWalk&policy=walk");
  expect(screen.queryByTestId("error")).toBeNull();
});

test("given a run whose reward is not to be found, when the person goes on without the reward, then it is not asked for again", async () => {
  const { trainer } = createClients(backend.transport);
  await trainer.createRun({ spec: { environmentId: "WalkerWalk", reward: { rewardId: "nowhere" } } });
  openPage(backend, "/?run=run-1");
  fireEvent.click(await screen.findByText("Go on without it"));
  await waitFor(() => expect(screen.queryByTestId("error")).toBeNull());
  expect(window.location.search).toBe("?env=WalkerWalk&run=run-1");
  expect(screen.getByTestId("run-panel")).toBeTruthy();
});
