import { useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { BackIcon, HistoryIcon } from "../ui/icons";
import styles from "./Header.module.css";
import { Link } from "./Link";
import { GALLERY } from "./location";
import { ServiceBanner } from "./ServiceBanner";
import { useSession } from "./session";

/** The bar at the top: where one is, and the way to earlier work. */
export function Header({ onHistory }: { readonly onHistory: () => void }) {
  const { navigation, environments } = useSession();
  const { environmentId } = useStore(navigation.place);
  const environment = useResource(environments, environmentId);
  return (
    <header className={styles.header}>
      <Link to={GALLERY} className={styles.brand} aria-label="TabRL, all robots">
        <svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true">
          <rect width="26" height="26" rx="7" fill="var(--primary)" />
          <path d="M7 18.5h12" stroke="var(--on-primary)" strokeWidth="2" strokeLinecap="round" />
          <path d="m13 18-3.4-8.6" stroke="var(--on-primary)" strokeWidth="2" strokeLinecap="round" />
          <circle cx="9.3" cy="8.2" r="2.2" fill="var(--on-primary)" />
          <path
            d="M13.6 7.6a8 8 0 0 1 4.2 3.2"
            stroke="var(--on-primary)"
            strokeWidth="1.6"
            strokeLinecap="round"
            fill="none"
            opacity=".7"
          />
        </svg>
        <span>TabRL</span>
      </Link>
      {environmentId && (
        <nav className={styles.trail} aria-label="Where you are">
          <Link to={GALLERY} className={styles.back}>
            <BackIcon />
            <span>All robots</span>
          </Link>
          <span className={styles.here} aria-current="page">
            {environment.value?.summary?.title ?? environmentId}
          </span>
        </nav>
      )}
      <ServiceBanner />
      <div className={styles.end}>
        <Button variant="quiet" size="small" icon={<HistoryIcon />} onClick={onHistory} data-testid="history">
          Your work
        </Button>
      </div>
    </header>
  );
}
