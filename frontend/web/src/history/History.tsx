import { useEffect, useRef, useState } from "react";
import { Link } from "../app/Link";
import { ALL, useSession } from "../app/session";
import type { Listing } from "../stores/listing";
import { useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import { CloseIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./History.module.css";
import { PolicyLine } from "./PolicyLine";
import { RunLine } from "./RunLine";

/** A drawer with every earlier run and policy, each a link. */
export function History({ onClose }: { readonly onClose: () => void }) {
  const { runLists, policyLists } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [shown, setShown] = useState<"runs" | "policies">("runs");
  const runs = useResource(runLists, ALL);
  const policies = useResource(policyLists, ALL);
  const [lists, listed] = shown === "runs" ? [runLists, runs] : [policyLists, policies];

  useEffect(() => {
    dialog.current?.showModal();
    runLists.reload(ALL);
    policyLists.reload(ALL);
  }, [runLists, policyLists]);

  return (
    <dialog
      ref={dialog}
      className={styles.drawer}
      aria-label="Your work"
      onClose={onClose}
      onPointerDown={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <div className={styles.inside}>
        <div className={styles.bar}>
          <div className={styles.tabs}>
            <button type="button" aria-pressed={shown === "runs"} onClick={() => setShown("runs")}>
              Runs <span className="number">{tally(runs.value)}</span>
            </button>
            <button type="button" aria-pressed={shown === "policies"} onClick={() => setShown("policies")}>
              Policies <span className="number">{tally(policies.value)}</span>
            </button>
          </div>
          <Button
            variant="quiet"
            size="small"
            icon={<CloseIcon />}
            aria-label="Close"
            onClick={() => dialog.current?.close()}
          />
        </div>
        {listed.failure && <FailureNotice failure={listed.failure} onRetry={() => lists.reload(ALL)} />}
        {shown === "runs" && (
          <ul className={styles.list}>
            {runs.value?.items.map((run) => (
              <li key={run.runId}>
                <Link to={{ environmentId: run.spec?.environmentId ?? "", runId: run.runId }} onClick={onClose}>
                  <RunLine run={run} />
                </Link>
              </li>
            ))}
            {runs.value?.items.length === 0 && <Empty what="Runs" />}
          </ul>
        )}
        {shown === "policies" && (
          <ul className={styles.list}>
            {policies.value?.items.map((policy) => (
              <li key={policy.policyId}>
                <Link
                  to={{ environmentId: policy.environmentId, runId: policy.runId, policyId: policy.policyId }}
                  onClick={onClose}
                >
                  <PolicyLine policy={policy} />
                </Link>
              </li>
            ))}
            {policies.value?.items.length === 0 && <Empty what="Policies" />}
          </ul>
        )}
        {listed.value?.nextPageToken && (
          <Button busy={listed.loading} onClick={() => lists.more(ALL)} data-testid="show-more">
            Show more
          </Button>
        )}
      </div>
    </dialog>
  );
}

/** How many there are: with a plus where more follow than have been loaded. */
function tally(list: Listing<unknown> | undefined): string {
  return list ? `${list.items.length}${list.nextPageToken ? "+" : ""}` : "";
}

function Empty({ what }: { readonly what: string }) {
  return (
    <li className={styles.empty}>
      {what} appear here once you have trained a robot. They stay when you close the page.
    </li>
  );
}
