import { Suspense, useEffect, useState } from "react";
import { Gallery } from "../gallery/Gallery";
import type { Failure } from "../rpc/failure";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./App.module.css";
import { Header } from "./Header";
import { loadLater, whenIdle } from "./loadLater";
import { GALLERY } from "./location";
import { useSession } from "./session";
import { UndoToast } from "./UndoToast";
import { useSettledPlace } from "./useSettledPlace";

const { Component: Studio, prefetch: prefetchStudio } = loadLater(
  async () => (await import("../studio/Studio")).Studio,
);
const { Component: RegistryView } = loadLater(async () => (await import("../registry/RegistryView")).RegistryView);
const { Component: CompareView } = loadLater(async () => (await import("../compare/CompareView")).CompareView);
const { Component: History } = loadLater(async () => (await import("../history/History")).History);

/** The page: the gallery, the studio of the environment that the URL names, the registered policies, or policies side by side. */
export function App() {
  const { place, failure } = useSettledPlace();
  const [historyOpen, setHistoryOpen] = useState(false);
  const inStudio = Boolean(place.environmentId || place.runId || place.policyId || place.rewardId);

  useEffect(() => whenIdle(prefetchStudio), []);

  // The old place's scroll position means nothing in the new one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the place is what triggers it
  useEffect(() => {
    setHistoryOpen(false);
    window.scrollTo(0, 0);
  }, [place.environmentId, place.view]);

  return (
    <div className={styles.page}>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <Header onHistory={() => setHistoryOpen(true)} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Boundary what="This page">
          <Suspense fallback={<div className={styles.waiting} />}>
            {place.view === "policies" ? (
              <RegistryView name={place.name} />
            ) : place.view === "compare" ? (
              <CompareView policyIds={place.compared.split(",").filter(Boolean)} />
            ) : place.environmentId ? (
              <Studio key={place.environmentId} environmentId={place.environmentId} />
            ) : inStudio ? (
              <Lookup failure={failure} onHistory={() => setHistoryOpen(true)} />
            ) : (
              <Gallery />
            )}
          </Suspense>
        </Boundary>
      </main>
      <UndoToast />
      {historyOpen && (
        <Boundary what="Your work">
          <Suspense>
            <History onClose={() => setHistoryOpen(false)} />
          </Suspense>
        </Boundary>
      )}
    </div>
  );
}

interface LookupProps {
  readonly failure: Failure | undefined;
  readonly onHistory: () => void;
}

/** While it is looked up whose environment a link without one means; says so when there is no such run, policy or reward. */
function Lookup({ failure, onHistory }: LookupProps) {
  const { navigation } = useSession();
  return (
    <div className={styles.waiting}>
      {failure && (
        <div className={styles.lookup}>
          <FailureNotice failure={failure} />
          <nav className={styles.ways} aria-label="Ways on">
            <Button variant="primary" onClick={() => navigation.go(GALLERY)}>
              All robots
            </Button>
            <Button variant="quiet" onClick={onHistory}>
              Your work
            </Button>
          </nav>
        </div>
      )}
    </div>
  );
}
