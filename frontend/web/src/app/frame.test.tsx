// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

vi.mock("../player", () => ({ RobotStage: () => null }));

let backend: Backend;

beforeEach(() => {
  localStorage.clear();
  preparePage();
  backend = createBackend();
});

afterEach(closePage);

test("given the gallery, when another part is gone to, then title, focus and words say where one is", async () => {
  openPage(backend, "/");
  fireEvent.click(screen.getByTestId("history"));
  await waitFor(() => expect(screen.getByTestId("arrival").textContent).toBe("Your work"));
  expect(document.title).toBe("Your work · TabRL");
  expect(document.activeElement?.id).toBe("main");
  expect(window.location.search).toBe("?view=work");
  expect(screen.getByTestId("history").getAttribute("aria-current")).toBe("page");
});

test("given a service that is away, when the light is pressed, then each service is listed with its state", async () => {
  const services = { scene: "serving", trainer: "starting" };
  openPage(backend, "/", { fetchHealth: async () => Response.json({ services, restarts: { scene: 2 } }) });
  await waitFor(() =>
    expect(screen.getByTestId("services").getAttribute("aria-label")).toContain("One service is away"),
  );
  fireEvent.click(screen.getByTestId("services"));
  expect(screen.getByTestId("service-trainer").dataset.state).toBe("away");
  expect(screen.getByTestId("service-scene").textContent).toContain("started anew 2 times");
  fireEvent.keyDown(screen.getByTestId("service-scene"), { key: "Escape" });
  expect(screen.queryByTestId("service-scene")).toBeNull();
  expect(document.activeElement).toBe(screen.getByTestId("services"));
});

test("given no network and no gateway, then the page says that this device is offline", async () => {
  vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
  openPage(backend, "/", { fetchHealth: () => Promise.reject(new TypeError("failed to fetch")) });
  expect((await screen.findByTestId("banner")).textContent).toContain("You are offline.");
  vi.restoreAllMocks();
});

test("given a gallery that was searched, when its address is opened anew, then the same is shown", async () => {
  openPage(backend, "/");
  fireEvent.change(await screen.findByTestId("search"), { target: { value: "walker" } });
  expect(window.location.search).toBe("?q=walker");
  closePage();
  preparePage();
  openPage(backend, "/?q=walker&order=motors");
  expect(await screen.findByTestId("env-card-WalkerWalk")).toBeTruthy();
  expect(screen.queryByTestId("env-card-CheetahRun")).toBeNull();
});

test("given a policy that nobody named, then the card of its robot says trained, and what is trained can be looked for", async () => {
  backend.putPolicy({ policyId: "policy-1", environmentId: "CheetahRun" });
  openPage(backend, "/");
  fireEvent.click(await screen.findByTestId("only-trained"));
  expect((await screen.findByTestId("trained")).textContent).toBe("Trained");
  expect(screen.queryByTestId("env-card-WalkerWalk")).toBeNull();
});

test("given two files, when they are dropped on the gallery, then it says to drop one", async () => {
  openPage(backend, "/");
  await screen.findByTestId("upload-card");
  const files = [new File(["a"], "a.xml"), new File(["b"], "b.obj")];
  fireEvent.drop(screen.getByTestId("drop-zone"), { dataTransfer: { types: ["Files"], files, items: [] } });
  expect((await screen.findByTestId("error")).textContent).toContain("These are 2 files.");
});

test("given a gallery that was scrolled, when a robot is opened and left by going back, then the gallery is where it was", async () => {
  const scrollTo = vi.fn();
  openPage(backend, "/");
  const card = await screen.findByTestId("env-card-WalkerWalk");
  vi.stubGlobal("scrollTo", scrollTo);
  vi.stubGlobal("scrollY", 640);
  fireEvent.scroll(window);
  fireEvent.click(card);
  await waitFor(() => expect(scrollTo).toHaveBeenLastCalledWith(0, 0));
  window.history.back();
  await waitFor(() => expect(scrollTo).toHaveBeenLastCalledWith(0, 640));
});
