import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { RunLine } from "../history/RunLine";
import { useResource } from "../stores/resource";
import styles from "./EarlierWork.module.css";
import type { StudioState } from "./useStudio";

const SHOWN = 6;

/** Earlier runs of this robot, for those who have some. */
export function EarlierWork({ studio }: { readonly studio: StudioState }) {
  const { runLists } = useSession();
  const { value: runs } = useResource(runLists, studio.environmentId);
  const others = runs?.filter(({ runId }) => runId !== studio.run?.run.runId) ?? [];
  if (others.length === 0) return null;
  return (
    <section className={styles.earlier} aria-labelledby="earlier">
      <h2 id="earlier">Earlier with this robot</h2>
      <ul>
        {others.slice(0, SHOWN).map((run) => (
          <li key={run.runId}>
            <Link to={{ environmentId: studio.environmentId, runId: run.runId }} data-testid="earlier-run">
              <RunLine run={run} pictured={false} />
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
