import type { ServiceName } from "../stores/health";
import { useStore } from "../stores/store";
import { AlertIcon } from "../ui/icons";
import styles from "./ServiceBanner.module.css";
import { useSession } from "./session";

const CONSEQUENCES: Readonly<Record<ServiceName, readonly [name: string, consequence: string]>> = {
  scene: ["The Scene service", "New robots cannot be opened; what is open goes on."],
  rewardgen: ["The RewardGen service", "New rewards cannot be written; training and playing go on."],
  trainer: ["The Trainer service", "Runs cannot be started or followed; policies still play, and no run is lost."],
  exporter: ["The Exporter service", "New checkpoints wait to be published; training goes on."],
  inference: ["The Inference service", "Policies cannot be measured on the server; they still play here."],
};

/** Says which service is down and what still works; goes away by itself. */
export function ServiceBanner() {
  const { health, runs } = useSession();
  const { gateway, down } = useStore(health.store);
  const connection = useStore(runs.connection);

  let lines: readonly (readonly [string, string])[] = [];
  if (gateway === "unreachable") {
    lines = [
      ["TabRL does not answer.", "Is `make up` still running? What is open stays, and this page reconnects by itself."],
    ];
  } else if (down.length > 0) {
    lines = down.map((service) => [`${CONSEQUENCES[service][0]} does not answer.`, CONSEQUENCES[service][1]]);
  } else if (connection) {
    lines = [["The connection to your runs broke.", "Reconnecting; nothing is lost."]];
  }
  return (
    <div role="status" aria-live="polite">
      {lines.length > 0 && (
        <div className={styles.banner} data-testid="banner">
          <AlertIcon />
          <div>
            {lines.map(([what, consequence]) => (
              <p key={what}>
                <strong>{what}</strong> {consequence}
              </p>
            ))}
          </div>
          <span className={styles.pulse} aria-hidden="true" />
        </div>
      )}
    </div>
  );
}
