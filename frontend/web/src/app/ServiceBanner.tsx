import { SERVICE_TITLES, type ServiceName } from "../rpc/serviceNames";
import type { Health } from "../stores/health";
import { useStore } from "../stores/store";
import { AlertIcon } from "../ui/icons";
import styles from "./ServiceBanner.module.css";
import { useSession } from "./session";

const CONSEQUENCES: Readonly<Record<ServiceName, string>> = {
  scene: "New robots cannot be opened; what is open goes on.",
  rewardgen: "New rewards cannot be written; training and playing go on.",
  trainer: "Runs cannot be started or followed; policies still play, and no run is lost.",
  exporter: "New checkpoints wait to be published; training goes on.",
  inference: "Policies cannot be measured on the server; they still play here.",
};

interface Trouble {
  readonly what: string;
  readonly consequences: readonly string[];
}

/** Says which service is down and what still works; goes away by itself. */
export function ServiceBanner() {
  const { health, runs, online } = useSession();
  const trouble = troubleOf(useStore(health.store), useStore(runs.connection) !== undefined, useStore(online));
  return (
    <div role="status" aria-live="polite" className={styles.place}>
      {trouble && (
        <div className={styles.banner} data-testid="banner">
          <AlertIcon />
          <Words {...trouble} />
          <span className={styles.pulse} aria-hidden="true" />
        </div>
      )}
    </div>
  );
}

function Words({ what, consequences }: Trouble) {
  if (consequences.length === 1) {
    return (
      <p>
        <strong>{what}</strong> <span className={styles.consequence}>{consequences[0]}</span>
      </p>
    );
  }
  return (
    <details>
      <summary>
        <strong>{what}</strong> <span>What still works</span>
      </summary>
      <ul>
        {consequences.map((consequence) => (
          <li key={consequence}>{consequence}</li>
        ))}
      </ul>
    </details>
  );
}

function troubleOf({ gateway, down, restarted }: Health, disconnected: boolean, online: boolean): Trouble | undefined {
  if (gateway === "unreachable" && !online) {
    const consequence = "What is open stays and plays on; this page reconnects by itself once there is a network.";
    return { what: "You are offline.", consequences: [consequence] };
  }
  if (gateway === "unreachable") {
    const consequence = "Is `make up` still running? What is open stays, and this page reconnects by itself.";
    return { what: "TabRL does not answer.", consequences: [consequence] };
  }
  if (down.length > 0) {
    const names = new Intl.ListFormat("en").format(down.map((service) => SERVICE_TITLES[service]));
    const what = down.length === 1 ? `The ${names} service does not answer.` : `${names} do not answer.`;
    return { what, consequences: down.map((service) => CONSEQUENCES[service]) };
  }
  if (restarted.length > 0) {
    const names = new Intl.ListFormat("en").format(restarted.map((service) => SERVICE_TITLES[service]));
    const what = restarted.length === 1 ? `The ${names} service was restarted.` : `${names} were restarted.`;
    return { what, consequences: ["It was away for a moment; everything works again."] };
  }
  if (disconnected)
    return { what: "The connection to your runs broke.", consequences: ["Reconnecting; nothing is lost."] };
  return undefined;
}
