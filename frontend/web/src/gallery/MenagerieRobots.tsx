import { useSession } from "../app/session";
import type { MenagerieScene } from "../gen/tabrl/scene/v1/menagerie_pb";
import { menagerieKey } from "../stores/menagerie";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import { MenagerieCard } from "./MenagerieCard";
import styles from "./MenagerieRobots.module.css";
import { useNewEnvironment } from "./useNewEnvironment";

interface MenagerieRobotsProps {
  readonly scenes: readonly MenagerieScene[];
}

/** Robots of MuJoCo Menagerie that are on this machine and no environment yet: one click makes one of them. */
export function MenagerieRobots({ scenes }: MenagerieRobotsProps) {
  const { menagerie, navigation } = useSession();
  const adding = useStore(menagerie.adding);
  const open = useNewEnvironment();
  const busy = adding !== undefined && !adding.failure;

  async function choose(scene: MenagerieScene): Promise<void> {
    const place = navigation.place.get();
    const environment = await menagerie.add(scene);
    // Who went elsewhere meanwhile finds it in the gallery.
    if (environment) open(environment, navigation.place.get() === place);
  }

  return (
    <section className={styles.section} aria-labelledby="menagerie" data-testid="menagerie">
      <header className={styles.head}>
        <h2 id="menagerie">Robots by themselves</h2>
        <p>
          From MuJoCo Menagerie, without a task, for whatever you think up. Choose one, and some seconds later it is
          among your robots.
        </p>
      </header>
      {adding?.failure && (
        <div className={styles.failure}>
          <FailureNotice failure={adding.failure} onRetry={() => void choose(adding.scene)} />
          <Button size="small" onClick={menagerie.dismiss}>
            Dismiss
          </Button>
        </div>
      )}
      <ul className={styles.grid}>
        {scenes.map((scene) => {
          const key = menagerieKey(scene);
          return (
            <li key={key}>
              <MenagerieCard
                scene={scene}
                adding={busy && menagerieKey(adding.scene) === key}
                disabled={busy}
                onChoose={() => void choose(scene)}
              />
            </li>
          );
        })}
      </ul>
    </section>
  );
}
