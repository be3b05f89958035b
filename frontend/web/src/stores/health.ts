import { SERVICE_NAMES, type ServiceName } from "../rpc/serviceNames";
import { createStore, type Store } from "./store";

/** What a person can and cannot do at present. */
export interface Health {
  /** `unknown` before the first answer; `unreachable` when the gateway itself does not answer. */
  readonly gateway: "unknown" | "reachable" | "unreachable";
  readonly down: readonly ServiceName[];
  /** Serve again after an outage between two looks that was too short to be met; told for two looks. */
  readonly restarted: readonly ServiceName[];
}

/** What is known of one service. */
export interface ServiceState {
  /** `unknown` before the first answer, and while the gateway does not answer. */
  readonly state: "unknown" | "serving" | "away";
  /** When it was last known to serve, in milliseconds since 1970; undefined for never since the page was opened. */
  readonly lastSeenMs?: number;
  /** How often it was started again since TabRL was started; undefined where nobody counts. */
  readonly restarts?: number;
}

/** Every service, and the gateway before them. */
export type ServiceStates = ReadonlyMap<ServiceName | "gateway", ServiceState>;

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
  /** The same in full; it changes with every look. */
  readonly states: Store<ServiceStates>;
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
  const store = createStore<Health>({ gateway: "unknown", down: [], restarted: [] });
  const states = createStore<ServiceStates>(new Map());
  let timer: ReturnType<typeof setTimeout> | undefined;
  let looking = false;
  let again = false;
  let restarts: Restarts = {};
  // For how many looks more a restart is told.
  const told = new Map<ServiceName, number>();
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
    const { gateway, down, restarts: counted } = await read(fetchHealth, timing.timeoutMs);
    looking = false;
    if (stopped) return;
    states.set((known) => statesAfter(known, { gateway, down, restarts: counted }, Date.now()));
    const unmet = SERVICE_NAMES.filter(
      (name) => !before.down.includes(name) && !down.includes(name) && grew(restarts[name], counted[name]),
    );
    restarts = { ...restarts, ...counted };
    for (const [name, left] of told) left > 1 ? told.set(name, left - 1) : told.delete(name);
    for (const name of unmet) told.set(name, LOOKS_TOLD);
    const now: Health = { gateway, down, restarted: [...told.keys()] };
    if (!sameHealth(before, now)) store.set(now);
    const recovered =
      (before.gateway === "unreachable" && gateway === "reachable") ||
      before.down.some((service) => gateway === "reachable" && !down.includes(service)) ||
      unmet.length > 0;
    if (recovered) onRecovery();
    const well = gateway === "reachable" && down.length === 0;
    lookIn(again ? soonestMs() : well ? timing.wellMs : timing.illMs);
  }

  void look();
  return {
    store,
    states,
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

/** How often each service has been started again since the launcher started. */
type Restarts = Readonly<Record<string, unknown>>;

interface Answer {
  readonly gateway: Health["gateway"];
  readonly down: readonly ServiceName[];
  readonly restarts: Restarts;
}

const LOOKS_TOLD = 2;

async function read(fetchHealth: (signal: AbortSignal) => Promise<Response>, timeoutMs: number): Promise<Answer> {
  try {
    const response = await fetchHealth(AbortSignal.timeout(timeoutMs));
    const body: unknown = await response.json().catch(() => ({}));
    return { gateway: "reachable", down: parseHealth(body), restarts: part(body, "restarts") ?? {} };
  } catch {
    return { gateway: "unreachable", down: [], restarts: {} };
  }
}

function statesAfter(known: ServiceStates, { gateway, down, restarts }: Answer, nowMs: number): ServiceStates {
  const answers = gateway === "reachable";
  const next = new Map<ServiceName | "gateway", ServiceState>();
  for (const name of [...SERVICE_NAMES, "gateway"] as const) {
    const before = known.get(name);
    const away = name === "gateway" ? !answers : down.includes(name);
    const state = away ? "away" : answers ? "serving" : "unknown";
    const lastSeenMs = state === "serving" ? nowMs : before?.lastSeenMs;
    const counted = restarts[name];
    const times = typeof counted === "number" ? counted : before?.restarts;
    next.set(name, {
      state,
      ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
      ...(times === undefined ? {} : { restarts: times }),
    });
  }
  return next;
}

function services(body: unknown): Record<string, unknown> {
  return part(body, "services") ?? record(body) ?? {};
}

function part(body: unknown, name: string): Record<string, unknown> | undefined {
  return record(record(body)?.[name]);
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}

function grew(before: unknown, now: unknown): boolean {
  return typeof before === "number" && typeof now === "number" && now > before;
}

function isServing(state: unknown): boolean {
  if (typeof state === "boolean") return state;
  const word = typeof state === "object" && state !== null ? (state as Record<string, unknown>).status : state;
  return typeof word === "string" && ["serving", "healthy", "ok", "up"].includes(word.toLowerCase());
}

function sameHealth(a: Health, b: Health): boolean {
  return a.gateway === b.gateway && a.down.join() === b.down.join() && a.restarted.join() === b.restarted.join();
}
