import { Link } from "../app/Link";
import { GALLERY } from "../app/location";
import { useSession } from "../app/session";
import { Thumbnail } from "../gallery/Thumbnail";
import { ALL, useFresh, useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import { PlusIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./CompareStart.module.css";
import { comparedOf, laneColor, laneLetter } from "./lanes";
import { startsFrom } from "./starts";

/** Before anything is chosen: what comparing is, and good ways to begin. */
export function CompareStart({ onPick }: { readonly onPick: () => void }) {
  const { gallery, runLists } = useSession();
  const runs = useFresh(runLists, ALL);
  const environments = useResource(gallery, ALL).value?.environments ?? [];
  const starts = startsFrom(runs.value?.items ?? []);

  return (
    <div className={styles.start}>
      <header className={styles.intro}>
        <h1>Which one does it better?</h1>
        <p>
          Up to four policies drive the same robot side by side. They begin together, feel the same pushes and follow
          the same commands, so that what you see is the difference between them.
        </p>
        <Button variant="primary" icon={<PlusIcon />} onClick={onPick} data-testid="choose-first">
          Choose a policy
        </Button>
      </header>
      {runs.failure && !runs.value && <FailureNotice failure={runs.failure} onRetry={() => runLists.reload(ALL)} />}
      {starts.length > 0 && (
        <section aria-labelledby="starts">
          <h2 id="starts">Or begin with these</h2>
          <ul className={styles.list}>
            {starts.map(({ title, told, environmentId, ids }) => {
              const environment = environments.find((each) => each.environmentId === environmentId);
              return (
                <li key={ids.join()}>
                  <Link to={{ view: "compare", compared: comparedOf(ids) }} className={styles.card} data-testid="start">
                    <span className={styles.picture}>
                      <Thumbnail artifact={environment?.thumbnail} />
                    </span>
                    <span className={styles.text}>
                      <strong>{title}</strong>
                      <span>{environment?.title ?? environmentId}</span>
                      <small>{told}</small>
                    </span>
                    <span className={styles.letters} aria-hidden="true">
                      {ids.map((id, place) => (
                        <span key={id} style={{ background: laneColor(place) }}>
                          {laneLetter(place)}
                        </span>
                      ))}
                    </span>
                  </Link>
                </li>
              );
            })}
          </ul>
        </section>
      )}
      {runs.value && starts.length === 0 && (
        <p className={styles.nothing} data-testid="nothing-to-compare">
          Nothing has been trained yet that could be compared. <Link to={GALLERY}>Choose a robot and train it</Link>:
          every run keeps what the robot could do at several stages, and those compare well.
        </p>
      )}
    </div>
  );
}
