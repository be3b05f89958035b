import { Suspense, useEffect, useState } from "react";
import { Gallery } from "../gallery/Gallery";
import { useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Boundary } from "../ui/Boundary";
import { FailureNotice } from "../ui/Notice";
import styles from "./App.module.css";
import { Header } from "./Header";
import { loadLater, whenIdle } from "./loadLater";
import { useSession } from "./session";

const { Component: Studio, prefetch: prefetchStudio } = loadLater(
  async () => (await import("../studio/Studio")).Studio,
);
const { Component: History } = loadLater(async () => (await import("../history/History")).History);

/** The page: the gallery, or the studio of the environment that the URL names. */
export function App() {
  const { navigation } = useSession();
  const place = useStore(navigation.place);
  const [historyOpen, setHistoryOpen] = useState(false);
  const inStudio = Boolean(place.environmentId || place.runId || place.policyId || place.rewardId);

  useEffect(() => whenIdle(prefetchStudio), []);

  // The old place's scroll position means nothing in the new one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the place is what triggers it
  useEffect(() => {
    setHistoryOpen(false);
    window.scrollTo(0, 0);
  }, [place.environmentId]);

  return (
    <div className={styles.page}>
      <a className={styles.skip} href="#main">
        Skip to content
      </a>
      <Header onHistory={() => setHistoryOpen(true)} />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Boundary what="This page">
          <Suspense fallback={<div className={styles.waiting} />}>
            {place.environmentId ? (
              <Studio key={place.environmentId} environmentId={place.environmentId} />
            ) : inStudio ? (
              <FindEnvironment />
            ) : (
              <Gallery />
            )}
          </Suspense>
        </Boundary>
      </main>
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

/** A link that names only a run, a policy or a reward: looks up whose environment that is. */
function FindEnvironment() {
  const { navigation, policies, rewards, runs } = useSession();
  const { policyId, rewardId, runId } = useStore(navigation.place);
  const policy = useResource(policies, policyId);
  const reward = useResource(rewards, policyId ? "" : rewardId);
  const record = useStore(runs.records).get(runId);
  const runFailure = useStore(runs.failures).get(runId);
  const failure = policy.failure ?? reward.failure ?? runFailure;

  useEffect(() => {
    if (runId) runs.follow(runId);
  }, [runs, runId]);

  useEffect(() => {
    if (policy.value) {
      navigation.refine({ environmentId: policy.value.environmentId, runId: runId || policy.value.runId });
    } else if (record?.run.spec) {
      navigation.refine({ environmentId: record.run.spec.environmentId });
    } else if (reward.value) {
      navigation.refine({ environmentId: reward.value.environmentId });
    }
  }, [navigation, policy.value, record?.run.spec, reward.value, runId]);

  return (
    <div className={styles.waiting}>
      {failure && (
        <div className={styles.lookup}>
          <FailureNotice failure={failure} />
          <a href="/">All robots</a>
        </div>
      )}
    </div>
  );
}
