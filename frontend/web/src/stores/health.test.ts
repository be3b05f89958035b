import { expect, test, vi } from "vitest";
import { eventually } from "../testing/eventually";
import { monitorHealth, parseHealth } from "./health";

test.each([
  [{ services: { scene: "serving", trainer: "not serving" } }, ["trainer"]],
  [{ scene: "SERVING", exporter: "NOT_SERVING" }, ["exporter"]],
  [{ services: { rewardgen: { status: "down" }, scene: true } }, ["rewardgen"]],
  ["ok", []],
])("given the body %o, then the services that are down are %o", (body, down) => {
  expect(parseHealth(body)).toEqual(down);
});

test("given a service that was down, when it serves again, then recovery is told once", async () => {
  const bodies = [{ services: { trainer: "not serving" } }, { services: { trainer: "serving" } }];
  const onRecovery = vi.fn();
  const answer = async () => Response.json(bodies.shift() ?? { services: { trainer: "serving" } });
  const monitor = monitorHealth(answer, onRecovery, { wellMs: 1, illMs: 1, leastMs: 1, timeoutMs: 1000 });
  await eventually(() => expect(onRecovery).toHaveBeenCalledTimes(1));
  expect(monitor.store.get()).toEqual({ gateway: "reachable", down: [], restarted: [] });
  monitor.stop();
});

test("given a gateway that does not answer, then it is unreachable", async () => {
  const monitor = monitorHealth(() => Promise.reject(new TypeError("failed to fetch")), vi.fn(), {
    wellMs: 1000,
    illMs: 1000,
    leastMs: 1000,
    timeoutMs: 1000,
  });
  await eventually(() => expect(monitor.store.get().gateway).toBe("unreachable"));
  monitor.stop();
});

test("given a failed call while a look is under way, when that look ends, then the next follows at once", async () => {
  const first = Promise.withResolvers<Response>();
  const bodies = [first.promise, Promise.resolve(Response.json({ services: { inference: "starting" } }))];
  const answer = vi.fn(() => bodies.shift() ?? new Promise<Response>(() => undefined));
  const monitor = monitorHealth(answer, vi.fn(), { wellMs: 60_000, illMs: 60_000, leastMs: 1, timeoutMs: 60_000 });
  for (let failure = 0; failure < 5; failure++) monitor.check();
  first.resolve(Response.json({ services: { inference: "serving" } }));
  await eventually(() => expect(monitor.store.get().down).toEqual(["inference"]));
  expect(answer).toHaveBeenCalledTimes(2);
  monitor.stop();
});

test("given an outage between two looks, when the count of restarts has grown, then it is told for a while", async () => {
  const answers = [0, 1, 1, 1].map((rewardgen) => ({ services: { rewardgen: "serving" }, restarts: { rewardgen } }));
  const seen: string[] = [];
  const onRecovery = vi.fn();
  const timing = { wellMs: 1, illMs: 1, leastMs: 1, timeoutMs: 1000 };
  const answer = async () => Response.json(answers.length > 1 ? answers.shift() : answers[0]);
  const monitor = monitorHealth(answer, onRecovery, timing);
  monitor.store.subscribe(() => seen.push(monitor.store.get().restarted.join()));
  await eventually(() => expect(seen).toEqual(["", "rewardgen", ""]));
  expect(onRecovery).toHaveBeenCalledTimes(1);
  monitor.stop();
});

test("given a service that goes away, then it is known when it was last there and how often it was started anew", async () => {
  const bodies = [
    { services: { trainer: "serving" }, restarts: { trainer: 1, gateway: 0 } },
    { services: { trainer: "away" }, restarts: { trainer: 2, gateway: 0 } },
  ];
  const timing = { wellMs: 1, illMs: 1, leastMs: 1, timeoutMs: 1000 };
  const before = Date.now();
  const monitor = monitorHealth(
    async () => Response.json(bodies.length > 1 ? bodies.shift() : bodies[0]),
    vi.fn(),
    timing,
  );
  await eventually(() => expect(monitor.states.get().get("trainer")?.state).toBe("away"));
  expect(monitor.states.get().get("trainer")?.restarts).toBe(2);
  expect(monitor.states.get().get("trainer")?.lastSeenMs).toBeGreaterThanOrEqual(before);
  expect(monitor.states.get().get("gateway")).toMatchObject({ state: "serving", restarts: 0 });
  monitor.stop();
});
