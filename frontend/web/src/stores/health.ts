import { SERVICE_NAMES, type ServiceName } from "../rpc/serviceNames";
import { createStore, type Store } from "./store";

/** What a person can and cannot do at present. */
export interface Health {
  /** `unknown` before the first answer; `unreachable` when the gateway itself does not answer. */
  readonly gateway: "unknown" | "reachable" | "unreachable";
  readonly down: readonly ServiceName[];
}

/** Timing of the polls, in milliseconds. */
export interface HealthTiming {
  /** From one look to the next while all is well. */
  readonly wellMs: number;
  /** The same while something is wrong. */
  readonly illMs: number;
  /** Least time between the starts of two looks, whatever is asked for. */
  readonly leastMs: number;
  readonly timeoutMs: number;
}

// A killed service is back after about 4 s; a look every 2 s meets it while it is away.
const TIMING: HealthTiming = { wellMs: 2_000, illMs: 2_000, leastMs: 400, timeoutMs: 4_000 };

/** Polls the gateway's `/healthz`, and looks at once after a failure was seen elsewhere. */
export interface HealthMonitor {
  readonly store: Store<Health>;
  /** Something failed or came back: look now, or right after the look that is under way. */
  check(): void;
  stop(): void;
}

/** Starts polling; `onRecovery` is called whenever a service that was down serves again. */
export function monitorHealth(
  fetchHealth: (signal: AbortSignal) => Promise<Response>,
  onRecovery: () => void,
  timing: HealthTiming = TIMING,
): HealthMonitor {
  const store = createStore<Health>({ gateway: "unknown", down: [] });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let looking = false;
  let again = false;
  let startedMs = Number.NEGATIVE_INFINITY;
  let stopped = false;

  const lookIn = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(look, ms);
  };
  const soonestMs = () => Math.max(0, startedMs + timing.leastMs - performance.now());

  async function look(): Promise<void> {
    if (looking || stopped) return;
    looking = true;
    again = false;
    startedMs = performance.now();
    clearTimeout(timer);
    const before = store.get();
    const now = await read(fetchHealth, timing.timeoutMs);
    looking = false;
    if (stopped) return;
    if (!sameHealth(before, now)) store.set(now);
    const recovered =
      (before.gateway === "unreachable" && now.gateway === "reachable") ||
      before.down.some((service) => now.gateway === "reachable" && !now.down.includes(service));
    if (recovered) onRecovery();
    const well = now.gateway === "reachable" && now.down.length === 0;
    lookIn(again ? soonestMs() : well ? timing.wellMs : timing.illMs);
  }

  void look();
  return {
    store,
    check() {
      if (looking) again = true;
      else if (!stopped) lookIn(soonestMs());
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Reads `/healthz`: any JSON object that names a service with a state other than serving counts it as down. */
export function parseHealth(body: unknown): readonly ServiceName[] {
  const states = services(body);
  return SERVICE_NAMES.filter((name) => name in states && !isServing(states[name]));
}

async function read(fetchHealth: (signal: AbortSignal) => Promise<Response>, timeoutMs: number): Promise<Health> {
  try {
    const response = await fetchHealth(AbortSignal.timeout(timeoutMs));
    return { gateway: "reachable", down: parseHealth(await response.json().catch(() => ({}))) };
  } catch {
    return { gateway: "unreachable", down: [] };
  }
}

function services(body: unknown): Record<string, unknown> {
  if (typeof body !== "object" || body === null) return {};
  const inner = (body as Record<string, unknown>).services;
  return (typeof inner === "object" && inner !== null ? inner : body) as Record<string, unknown>;
}

function isServing(state: unknown): boolean {
  if (typeof state === "boolean") return state;
  const word = typeof state === "object" && state !== null ? (state as Record<string, unknown>).status : state;
  return typeof word === "string" && ["serving", "healthy", "ok", "up"].includes(word.toLowerCase());
}

function sameHealth(a: Health, b: Health): boolean {
  return a.gateway === b.gateway && a.down.join() === b.down.join();
}
