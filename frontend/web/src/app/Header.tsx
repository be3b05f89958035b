import { useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { SearchIcon } from "../ui/icons";
import styles from "./Header.module.css";
import { KeyCaps } from "./KeyCaps";
import { Link } from "./Link";
import { GALLERY } from "./location";
import { ServiceBanner } from "./ServiceBanner";
import { ServiceStatus } from "./ServiceStatus";
import { SiteNavigation } from "./SiteNavigation";
import { useSession } from "./session";
import { ThemeMenu } from "./ThemeMenu";

/** The bar at the top: the page's parts, where one is, and how the services are. */
export function Header({ onFind }: { readonly onFind: () => void }) {
  const { navigation, environments } = useSession();
  const { environmentId, view } = useStore(navigation.place);
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
      <SiteNavigation />
      {environmentId && view === "" && (
        <span className={styles.here}>{environment.value?.summary?.title ?? environmentId}</span>
      )}
      <ServiceBanner />
      <div className={styles.end}>
        <button type="button" className={styles.find} onClick={onFind} data-testid="find">
          <SearchIcon />
          <span className="hidden-visually">Find anything</span>
          <span className={styles.hint}>
            <KeyCaps shortcut="Mod+k" />
          </span>
        </button>
        <ServiceStatus />
        <ThemeMenu />
      </div>
    </header>
  );
}
