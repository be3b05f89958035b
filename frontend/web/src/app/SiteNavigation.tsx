import { useStore } from "../stores/store";
import { HistoryIcon, PoliciesIcon, RobotIcon, SideBySideIcon } from "../ui/icons";
import { Link } from "./Link";
import { GALLERY, type Place, type View } from "./location";
import styles from "./SiteNavigation.module.css";
import { useSession } from "./session";

interface Destination {
  readonly view: View;
  readonly title: string;
  readonly to: Partial<Place>;
  readonly Icon: () => React.ReactNode;
  readonly testId: string;
}

export const DESTINATIONS: readonly Destination[] = [
  { view: "", title: "Robots", to: GALLERY, Icon: RobotIcon, testId: "robots" },
  { view: "policies", title: "Policies", to: { view: "policies" }, Icon: PoliciesIcon, testId: "policies" },
  { view: "compare", title: "Compare", to: { view: "compare" }, Icon: SideBySideIcon, testId: "compare" },
  { view: "work", title: "Your work", to: { view: "work" }, Icon: HistoryIcon, testId: "history" },
];

/** The page's parts: in the bar at the top, on a phone in one at the bottom, where a thumb reaches. */
export function SiteNavigation() {
  const { navigation } = useSession();
  const { view } = useStore(navigation.place);
  return (
    <nav className={styles.navigation} aria-label="TabRL">
      {DESTINATIONS.map(({ view: each, title, to, Icon, testId }) => (
        <Link key={each} to={to} aria-current={view === each ? "page" : undefined} data-testid={testId}>
          <Icon />
          <span>{title}</span>
        </Link>
      ))}
    </nav>
  );
}
