import { useState } from "react";
import { Link } from "../app/Link";
import type { Place } from "../app/location";
import { useSession } from "../app/session";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { RunLine } from "../history/RunLine";
import { useFresh } from "../stores/resource";
import { Button } from "../ui/Button";
import styles from "./EarlierWork.module.css";
import type { StudioState } from "./useStudio";

const SHOWN_FIRST = 6;
const SHOWN_MORE = 20;

/** Earlier runs of this robot, for those who have some. */
export function EarlierWork({ studio }: { readonly studio: StudioState }) {
  const { runLists } = useSession();
  const [shown, setShown] = useState(SHOWN_FIRST);
  const { value: runs, loading } = useFresh(runLists, studio.environmentId);
  const others = runs?.items.filter(({ runId }) => runId !== studio.run?.run.runId) ?? [];
  if (others.length === 0) return null;
  const following = runs?.nextPageToken ?? "";

  function showMore() {
    if (shown + SHOWN_MORE > others.length) runLists.more(studio.environmentId);
    setShown(shown + SHOWN_MORE);
  }

  return (
    <section className={styles.earlier} aria-labelledby="earlier">
      <h2 id="earlier">Earlier with this robot</h2>
      <ul>
        {others.slice(0, shown).map((run) => (
          <li key={run.runId}>
            <Link to={placeOf(run)} data-testid="earlier-run">
              <RunLine run={run} pictured={false} />
            </Link>
          </li>
        ))}
      </ul>
      {(others.length > shown || following) && (
        <Button size="small" busy={loading} onClick={showMore} data-testid="show-more">
          Show more
        </Button>
      )}
    </section>
  );
}

/** The run with its reward, which it does not bring along by itself where the person has put that aside. */
function placeOf({ runId, spec }: Run): Partial<Place> {
  return { environmentId: spec?.environmentId ?? "", rewardId: spec?.reward?.rewardId ?? "", runId };
}
