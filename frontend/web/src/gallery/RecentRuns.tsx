import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { RunLine } from "../history/RunLine";
import { ALL, useResource } from "../stores/resource";
import styles from "./RecentRuns.module.css";

const SHOWN = 3;

/** The way back to earlier work, for those who have some. */
export function RecentRuns() {
  const { runLists } = useSession();
  const runs = useResource(runLists, ALL).value?.items ?? [];
  if (runs.length === 0) return null;
  return (
    <section aria-labelledby="recent">
      <h2 id="recent" className={styles.title}>
        Where you left off
      </h2>
      <ul className={styles.list}>
        {runs.slice(0, SHOWN).map((run) => (
          <li key={run.runId}>
            <Link to={{ environmentId: run.spec?.environmentId ?? "", runId: run.runId }} className={styles.run}>
              <RunLine run={run} />
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
