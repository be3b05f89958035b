import { useEffect, useState } from "react";
import { formatDuration } from "../format/format";
import { SERVICE_NAMES, SERVICE_TITLES, type ServiceName } from "../rpc/serviceNames";
import type { ServiceState } from "../stores/health";
import { useStore } from "../stores/store";
import { Popover } from "../ui/Popover";
import styles from "./ServiceStatus.module.css";
import { useSession } from "./session";

const NEEDED_FOR: Readonly<Record<ServiceName | "gateway", string>> = {
  gateway: "Brings this page, and passes on what it asks for",
  scene: "Robots, their pictures and uploads",
  rewardgen: "Turns words into rewards",
  trainer: "Trains, and keeps your runs",
  exporter: "Keeps, names and shares policies",
  inference: "Measures policies on the server",
};
const ROWS = ["gateway", ...SERVICE_NAMES] as const;

/** A light that says whether everything is there, and opens what is known of each service. */
export function ServiceStatus() {
  const { health, online } = useSession();
  const { gateway, down } = useStore(health.store);
  const isOnline = useStore(online);
  const state =
    gateway === "unknown"
      ? "unknown"
      : gateway === "unreachable" || down.length === SERVICE_NAMES.length
        ? "away"
        : down.length > 0
          ? "partly"
          : "serving";
  const words = {
    unknown: "Looking for the services",
    serving: "All services are there",
    partly: down.length === 1 ? "One service is away" : `${down.length} services are away`,
    away: isOnline ? "TabRL does not answer" : "You are offline",
  }[state];
  return (
    <Popover
      label={`Services: ${words}`}
      face={<span className={styles.light} data-state={state} aria-hidden="true" />}
      testId="services"
    >
      <h2 className={styles.title}>{words}</h2>
      <Rows />
      {!isOnline && (
        <p className={styles.note}>
          This device has no network.{" "}
          {gateway === "reachable"
            ? "TabRL answers all the same: it runs on this machine."
            : "The page reconnects by itself once it has."}
        </p>
      )}
    </Popover>
  );
}

function Rows() {
  const { health } = useSession();
  const states = useStore(health.states);
  const nowMs = useNow();
  return (
    <ul className={styles.rows}>
      {ROWS.map((name) => {
        const known = states.get(name) ?? UNKNOWN;
        return (
          <li key={name} data-testid={`service-${name}`} data-state={known.state}>
            <span className={styles.light} data-state={known.state} aria-hidden="true" />
            <span className={styles.name}>{name === "gateway" ? "Gateway" : SERVICE_TITLES[name]}</span>
            <span className={styles.state}>{STATE_WORDS[known.state]}</span>
            <span className={styles.about}>{NEEDED_FOR[name]}</span>
            <span className={`${styles.seen} number`}>{factsOf(known, nowMs)}</span>
          </li>
        );
      })}
    </ul>
  );
}

const UNKNOWN: ServiceState = { state: "unknown" };
const STATE_WORDS = { unknown: "Not known", serving: "There", away: "Away" } as const;

function factsOf({ lastSeenMs, restarts }: ServiceState, nowMs: number): string {
  const secs = lastSeenMs === undefined ? undefined : Math.max(0, (nowMs - lastSeenMs) / 1000);
  // Every look takes a while; whoever answered the last one is there now.
  const seen =
    secs === undefined ? "Not seen yet" : secs < 5 ? "Seen just now" : `Last seen ${formatDuration(secs)} ago`;
  const times = restarts ? `, started anew ${restarts === 1 ? "once" : `${restarts} times`}` : "";
  return seen + times;
}

function useNow(): number {
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return nowMs;
}
