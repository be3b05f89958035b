import { useEffect, useRef, useState } from "react";
import { Link } from "../app/Link";
import { ALL, useSession } from "../app/session";
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
  const { failure } = shown === "runs" ? runs : policies;

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
              Runs <span className="number">{runs.value?.length ?? ""}</span>
            </button>
            <button type="button" aria-pressed={shown === "policies"} onClick={() => setShown("policies")}>
              Policies <span className="number">{policies.value?.length ?? ""}</span>
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
        {failure && (
          <FailureNotice failure={failure} onRetry={() => (shown === "runs" ? runLists : policyLists).reload(ALL)} />
        )}
        {shown === "runs" && (
          <ul className={styles.list}>
            {runs.value?.map((run) => (
              <li key={run.runId}>
                <Link to={{ environmentId: run.spec?.environmentId ?? "", runId: run.runId }} onClick={onClose}>
                  <RunLine run={run} />
                </Link>
              </li>
            ))}
            {runs.value?.length === 0 && <Empty what="Runs" />}
          </ul>
        )}
        {shown === "policies" && (
          <ul className={styles.list}>
            {policies.value?.map((policy) => (
              <li key={policy.policyId}>
                <Link
                  to={{ environmentId: policy.environmentId, runId: policy.runId, policyId: policy.policyId }}
                  onClick={onClose}
                >
                  <PolicyLine policy={policy} />
                </Link>
              </li>
            ))}
            {policies.value?.length === 0 && <Empty what="Policies" />}
          </ul>
        )}
      </div>
    </dialog>
  );
}

function Empty({ what }: { readonly what: string }) {
  return (
    <li className={styles.empty}>
      {what} appear here once you have trained a robot. They stay when you close the page.
    </li>
  );
}
