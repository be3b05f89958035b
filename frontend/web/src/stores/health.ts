import { createStore, type Store } from "./store";

/** The services by the names that `/healthz` gives them. */
export const SERVICE_NAMES = ["scene", "rewardgen", "trainer", "exporter", "inference"] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** What a person can and cannot do at present. */
export interface Health {
  /** `unknown` before the first answer; `unreachable` when the gateway itself does not answer. */
  readonly gateway: "unknown" | "reachable" | "unreachable";
  readonly down: readonly ServiceName[];
}

/** Timing of the polls, in milliseconds. */
export interface HealthTiming {
  readonly wellMs: number;
  readonly illMs: number;
  readonly timeoutMs: number;
}

const TIMING: HealthTiming = { wellMs: 10_000, illMs: 2_000, timeoutMs: 4_000 };

/** Polls the gateway's `/healthz`, more often while something is wrong or after a failure was seen elsewhere. */
export interface HealthMonitor {
  readonly store: Store<Health>;
  /** Something failed or came back: look now. */
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
  let stopped = false;

  async function look(): Promise<void> {
    if (looking || stopped) return;
    looking = true;
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
    timer = setTimeout(look, well ? timing.wellMs : timing.illMs);
  }

  void look();
  return {
    store,
    check: () => void look(),
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
