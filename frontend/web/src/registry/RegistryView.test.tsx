// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Clients, createClients } from "../rpc/clients";
import { UNDO_MS } from "../stores/undo";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));

let backend: Backend;
let clients: Clients;

beforeEach(async () => {
  preparePage();
  backend = createBackend();
  clients = createClients(backend.transport);
  for (let number = 1; number <= 3; number++) {
    const policyId = `walk-${number}`;
    const measurements = [{ episodes: 5, meanReturn: 100 * number, stdReturn: 5, meanSurvived: 1 }];
    backend.putPolicy({
      policyId,
      environmentId: "WalkerWalk",
      runId: "run-9",
      envSteps: BigInt(number),
      measurements,
    });
    await clients.registry.registerVersion({ name: "walker-stroll", policyId, notes: `try ${number}` });
  }
  backend.putPolicy({ policyId: "pole-1", environmentId: "CartpoleBalance", title: "sway" });
});

afterEach(() => {
  vi.useRealTimers();
  closePage();
  window.localStorage.clear();
});

const NAME = "/?view=policies&name=walker-stroll";

/** Lets the time pass in which a deletion can be taken back. */
async function undoTimePasses(deleting: () => void): Promise<void> {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  deleting();
  await vi.advanceTimersByTimeAsync(UNDO_MS + 100);
  vi.useRealTimers();
}

test("given very many names, then policies that only their older versions hold are not listed as without a name", async () => {
  for (let number = 0; number < 45; number++) {
    for (const version of [1, 2]) {
      const policyId = `many-${number}-${version}`;
      backend.putPolicy({ policyId, environmentId: "WalkerWalk", runId: policyId });
      await clients.registry.registerVersion({ name: `many-${number}`, policyId });
    }
  }
  backend.putPolicy({ policyId: "pole-9", environmentId: "CartpoleBalance", title: "swing" });
  openPage(backend, "/?view=policies");
  const unregistered = await screen.findByTestId("unregistered");
  await waitFor(() => expect(within(unregistered).getAllByTestId(/^policy-row-/)).toHaveLength(1), { timeout: 10_000 });
  expect(unregistered.textContent).toContain("swing");
});

test("given names, when one is searched for and chosen, then its versions are shown under its URL", async () => {
  backend.putPolicy({ policyId: "pole-2", environmentId: "CartpoleBalance" });
  await clients.registry.registerVersion({ name: "steady-pole", policyId: "pole-2" });
  openPage(backend, "/?view=policies");
  await screen.findByTestId("name-card-steady-pole");
  fireEvent.change(screen.getByTestId("registry-search"), { target: { value: "walker" } });
  expect(screen.queryByTestId("name-card-steady-pole")).toBeNull();
  fireEvent.click(screen.getByTestId("name-card-walker-stroll"));
  expect(await screen.findByTestId("version-3")).toBeTruthy();
  expect(window.location.search).toBe("?view=policies&name=walker-stroll");
});

test("given policies without a name, then they are listed apart from those with one, and can take one", async () => {
  openPage(backend, "/?view=policies");
  const row = await screen.findByTestId("policy-row-pole-1");
  await waitFor(() => expect(screen.queryByTestId("policy-row-walk-1")).toBeNull());
  fireEvent.click(within(row).getByTestId("register-open"));
  await waitFor(() => expect((screen.getByTestId("register-name") as HTMLInputElement).value).toBe("cartpole-sway"));
  fireEvent.change(screen.getByTestId("register-name"), { target: { value: "Calm Pole" } });
  fireEvent.click(screen.getByTestId("register"));
  expect(await screen.findByTestId("name-card-calm-pole")).toBeTruthy();
  await waitFor(() => expect(screen.queryByTestId("policy-row-pole-1")).toBeNull());
  expect(screen.getByTestId("registered").textContent).toBe("Registered as calm-pole, version 1");
});

test("given a training with two policies, when the newest takes a name, then the other is not asked for one", async () => {
  for (const [seconds, policyId] of [
    [1n, "calm-1"],
    [2n, "calm-2"],
  ] as const)
    backend.putPolicy({ policyId, environmentId: "CartpoleBalance", runId: "run-9", createTime: { seconds } });
  openPage(backend, "/?view=policies");
  fireEvent.click(within(await screen.findByTestId("policy-row-calm-2")).getByTestId("register-open"));
  fireEvent.change(screen.getByTestId("register-name"), { target: { value: "calm-two" } });
  fireEvent.click(screen.getByTestId("register"));
  expect((await screen.findByTestId("registered")).textContent).toBe("Registered as calm-two, version 1");
  await waitFor(() => expect(screen.queryByTestId("policy-row-calm-2")).toBeNull());
  expect(screen.getByTestId("policy-row-calm-1")).toBeTruthy();
  expect(screen.queryByTestId("register-form")).toBeNull();
});

test("given a name of another robot, when a policy is to take it, then the refusal is said at the form", async () => {
  openPage(backend, "/?view=policies");
  fireEvent.click(within(await screen.findByTestId("policy-row-pole-1")).getByTestId("register-open"));
  fireEvent.change(screen.getByTestId("register-name"), { target: { value: "walker-stroll" } });
  fireEvent.click(screen.getByTestId("register"));
  const error = await within(screen.getByTestId("register-form")).findByTestId("error");
  expect(error.textContent).toContain("drives WalkerWalk");
  expect(error.textContent).toContain("Choose another name");
  expect(screen.getByTestId("register-form").textContent).not.toContain("A new name");
  fireEvent.change(screen.getByTestId("register-name"), { target: { value: "calm-pole" } });
  expect(within(screen.getByTestId("register-form")).queryByTestId("error")).toBeNull();
});

test("given nothing at all, then the view says what a policy is and how to get one", async () => {
  openPage(createBackend(), "/?view=policies");
  expect((await screen.findByTestId("registry-empty")).textContent).toContain("Choose a robot");
});

test("given two versions chosen as A and B, when they are compared, then the better one is named and both can be watched", async () => {
  openPage(backend, NAME);
  fireEvent.click(await screen.findByTestId("slot-A-1"));
  fireEvent.click(screen.getByTestId("slot-B-3"));
  fireEvent.click(screen.getByTestId("compare-ab"));
  expect((await screen.findByTestId("verdict")).textContent).toContain("B is better");
  const table = within(await screen.findByTestId("differences"));
  expect((await table.findByText("Practice, in steps")).closest("tr")?.textContent).toContain("+2");
  expect(screen.getByTestId("side-by-side").getAttribute("href")).toBe("/?view=compare&with=walk-1,walk-3");
});

test("given a tag, when it is moved and then rolled back, then it stands for the version before", async () => {
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 1 });
  openPage(backend, NAME);
  const version = () => (screen.getByLabelText("Version that stable stands for") as HTMLSelectElement).value;
  await screen.findByTestId("tag-stable");
  expect(screen.queryByTestId("roll-back-stable")).toBeNull();
  fireEvent.change(screen.getByLabelText("Version that stable stands for"), { target: { value: "3" } });
  fireEvent.click(await screen.findByTestId("roll-back-stable"));
  await waitFor(() => expect(version()).toBe("1"));
});

test("given a tag that somebody else moved, when it is rolled back, then the conflict is said and the page is right again", async () => {
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 1 });
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 2 });
  openPage(backend, NAME);
  await screen.findByTestId("roll-back-stable");
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 3 });
  fireEvent.click(screen.getByTestId("roll-back-stable"));
  expect((await screen.findByTestId("error")).textContent).toContain("points to version 3");
  await waitFor(() =>
    expect((screen.getByLabelText("Version that stable stands for") as HTMLSelectElement).value).toBe("3"),
  );
});

test("given a tag that was just deleted, when it is set on another version, then it stays", async () => {
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 1 });
  openPage(backend, NAME);
  await screen.findByTestId("tag-stable");
  await undoTimePasses(() => {
    fireEvent.click(screen.getByTestId("delete-tag-stable"));
    fireEvent.click(screen.getByTestId("add-tag"));
    fireEvent.change(screen.getByTestId("new-tag"), { target: { value: "stable" } });
    fireEvent.change(screen.getByTestId("new-tag-version"), { target: { value: "2" } });
    fireEvent.click(screen.getByTestId("set-tag"));
  });
  const { registered } = await clients.registry.getRegisteredPolicy({ name: "walker-stroll" });
  expect(registered?.tags.find(({ tag }) => tag === "stable")?.number).toBe(2);
  expect(screen.getByTestId("tag-stable")).toBeTruthy();
});

test("given a version whose deletion met a service that was away, when the person has read that, then it can be dismissed", async () => {
  openPage(backend, NAME);
  const card = await screen.findByTestId("version-2");
  fireEvent.click(screen.getByTestId("details-2"));
  fireEvent.click(within(card).getByTestId("delete-version"));
  await waitFor(() => expect(screen.queryByTestId("version-2")).toBeNull());
  backend.setDown("exporter", true);
  fireEvent(window, new Event("pagehide"));
  const error = await within(await screen.findByTestId("version-2")).findByTestId("error");
  backend.setDown("exporter", false);
  fireEvent.click(within(error).getByRole("button", { name: "Dismiss" }));
  await waitFor(() => expect(within(screen.getByTestId("version-2")).queryByTestId("error")).toBeNull());
});

test("given a robot whose upload failed, when the policies are opened, then nothing is said of it there", async () => {
  openPage(backend, "/");
  const file = new File([new Uint8Array(10)], "robot.zip");
  fireEvent.change(await screen.findByTestId("upload-file"), { target: { files: [file] } });
  await within(await screen.findByTestId("upload-card")).findByTestId("error");
  fireEvent.click(screen.getByTestId("policies"));
  await screen.findByTestId("name-card-walker-stroll");
  expect(screen.queryByTestId("error")).toBeNull();
});

test("given the only version of a name, when its policy is deleted too and that is refused, then the page still says so", async () => {
  await clients.registry.registerVersion({ name: "one", policyId: "pole-1" });
  await clients.registry.registerVersion({ name: "other", policyId: "pole-1" });
  openPage(backend, "/?view=policies&name=one");
  await screen.findByTestId("delete-both");
  await undoTimePasses(() => fireEvent.click(screen.getByTestId("delete-both")));
  await waitFor(() =>
    expect(screen.getAllByTestId("error").some(({ textContent }) => textContent?.includes("other@1"))).toBe(true),
  );
});

test("given notes, when they are edited where they stand, then the service keeps them", async () => {
  openPage(backend, NAME);
  fireEvent.click(await screen.findByTestId("notes-2"));
  fireEvent.change(screen.getByTestId("notes-field-2"), { target: { value: "limps a little" } });
  fireEvent.keyDown(screen.getByTestId("notes-field-2"), { key: "Enter", ctrlKey: true });
  await waitFor(() => expect(screen.getByTestId("notes-2").textContent).toBe("limps a little"));
  const { registered } = await clients.registry.getRegisteredPolicy({ name: "walker-stroll" });
  expect(registered?.versions.find(({ number }) => number === 2)?.notes).toBe("limps a little");
});

test("given a version, when it is deleted and taken back, then it is there again and the service never heard of it", async () => {
  openPage(backend, NAME);
  await screen.findByTestId("delete-version");
  await undoTimePasses(() => {
    fireEvent.click(screen.getByTestId("delete-version"));
    expect(screen.queryByTestId("version-3")).toBeNull();
    fireEvent.click(screen.getByTestId("undo"));
  });
  expect(await screen.findByTestId("version-3")).toBeTruthy();
  const { registered } = await clients.registry.getRegisteredPolicy({ name: "walker-stroll" });
  expect(registered?.versions.length).toBe(3);
});

test("given a version with a tag, when it is deleted, then it comes back and says which tag holds it", async () => {
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 3 });
  openPage(backend, NAME);
  await screen.findByTestId("delete-version");
  await undoTimePasses(() => fireEvent.click(screen.getByTestId("delete-version")));
  const card = await screen.findByTestId("version-3");
  expect((await within(card).findByTestId("error")).textContent).toContain("tagged stable");
});

test("given a policy that has another name too, when it is deleted with its version, then it says where it is named", async () => {
  await clients.registry.registerVersion({ name: "other", policyId: "walk-3" });
  openPage(backend, NAME);
  await screen.findByTestId("delete-both");
  await undoTimePasses(() => fireEvent.click(screen.getByTestId("delete-both")));
  expect((await screen.findByTestId("error")).textContent).toContain("other@1");
  expect(screen.queryByTestId("version-3")).toBeNull();
});

test("given a version, when it is measured, then its new measurement is shown", async () => {
  openPage(backend, NAME);
  const details = within(await screen.findByTestId("version-details"));
  fireEvent.click(details.getByTestId("measure"));
  await waitFor(() => expect(details.getAllByText(/^920/).length).toBe(1));
});

test("given an unknown name, then the page says so and leads to all policies", async () => {
  openPage(backend, "/?view=policies&name=nobody");
  expect((await screen.findByTestId("error")).textContent).toContain("Nothing is registered as 'nobody'");
  fireEvent.click(within(screen.getByTestId("error")).getByText("All policies"));
  expect(await screen.findByTestId("name-card-walker-stroll")).toBeTruthy();
});

test("given an Exporter that goes away, when the list is looked at again, then it keeps what it has and offers to ask again", async () => {
  openPage(backend, NAME);
  await screen.findByTestId("version-3");
  backend.setDown("exporter", true);
  fireEvent.click(screen.getByTestId("measure"));
  const error = await screen.findByTestId("error");
  expect(within(error).getByText(/^Try again/)).toBeTruthy();
  expect(screen.getByTestId("version-1")).toBeTruthy();
});

test("given a shared policy, when its file is dropped on the view, then it is imported, marked and can take a name", async () => {
  openPage(backend, "/?view=policies");
  const content = new Uint8Array(2000);
  content.set([0x50, 0x4b]);
  const dataTransfer = { files: [new File([content], "dance.tabrl")], types: ["Files"] };
  fireEvent.drop(await screen.findByTestId("import-zone"), { dataTransfer });
  expect((await screen.findByTestId("imported")).textContent).toContain("Imported: dance");
  expect(await screen.findByTestId("policy-row-imported-1")).toBeTruthy();
});

test.each([
  ["evil.tabrl", "The file is no zip"],
  ["robot.zip", "is no shared policy"],
])("given the file %s, when it is dropped, then the page says why it was refused", async (name, said) => {
  openPage(backend, "/?view=policies");
  const dataTransfer = { files: [new File([new Uint8Array(100)], name)], types: ["Files"] };
  fireEvent.drop(await screen.findByTestId("import-zone"), { dataTransfer });
  expect((await screen.findByTestId("error")).textContent).toContain(said);
});

test("given a version, then its lineage is a list of links besides the picture", async () => {
  openPage(backend, NAME);
  const lineage = within(await screen.findByTestId("lineage"));
  const run = await lineage.findByText("Training run-9", { exact: true });
  expect(run.getAttribute("href")).toBe("/?run=run-9");
});

test("given robustness that was measured in this browser, then the version and its details tell it", async () => {
  const sha256 = "d".repeat(64);
  const trials = [
    { disturbance: "none", survival: 1, relativeReturn: 1 },
    { disturbance: "pushes", survival: 0.8, relativeReturn: 0.6 },
  ];
  window.localStorage.setItem("tabrl.robustness.2", JSON.stringify([[sha256, { trials }]]));
  backend.putPolicy({ policyId: "walk-3", environmentId: "WalkerWalk", controller: { sha256 } });
  openPage(backend, NAME);
  expect((await screen.findByTestId("robustness-badge")).textContent).toBe("Robust 70\u00a0%");
  expect(screen.getByTestId("robustness").textContent).toContain("Pushes80\u00a0%60\u00a0%");
});

test("given a name that was looked at, when others have changed it meanwhile, then coming back shows it as it is", async () => {
  openPage(backend, NAME);
  await screen.findByTestId("version-3");
  fireEvent.click(screen.getByTestId("all-policies"));
  const card = await screen.findByTestId("name-card-walker-stroll");
  await clients.registry.setTag({ name: "walker-stroll", tag: "stable", number: 2 });
  fireEvent.click(card);
  expect(await screen.findByTestId("tag-stable")).toBeTruthy();
});
