import { useEffect, useState } from "react";
import { PlayerError } from "../player/errors";
import { Notice } from "../ui/Notice";
import { titleOf } from "./facts";
import { ModelCard } from "./ModelCard";
import { SharedStage } from "./SharedStage";
import styles from "./SharePage.module.css";
import type { SharedPolicy } from "./sharedPolicy";

/** A robot with the policy that moves it, and what there is to know of it. No server stands behind this page. */
export function SharePage({ loading }: { readonly loading: Promise<SharedPolicy> }) {
  const [shared, setShared] = useState<SharedPolicy>();
  const [error, setError] = useState<PlayerError>();
  useEffect(() => {
    loading.then(setShared, (reason: unknown) =>
      setError(PlayerError.from(reason, "MANIFEST_INVALID", "The policy cannot be read")),
    );
  }, [loading]);
  useEffect(() => {
    if (shared) document.title = `${titleOf(shared)} · TabRL`;
  }, [shared]);

  if (error) {
    return (
      <main className={styles.failed}>
        <Notice tone="danger" testId="error" title="This page is not whole">
          <p>{error.message}</p>
        </Notice>
      </main>
    );
  }
  return (
    <main className={styles.page}>
      <SharedStage shared={shared} />
      {shared && <ModelCard shared={shared} />}
    </main>
  );
}
