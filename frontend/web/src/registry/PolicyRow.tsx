import { useState } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { PolicyLine } from "../history/PolicyLine";
import { policyTitle } from "../policies/policyTitle";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { DeleteIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./PolicyRow.module.css";
import { type Made, RegisterForm } from "./RegisterForm";
import { useDeletePolicy } from "./useDeletePolicy";

interface PolicyRowProps {
  readonly policy: Policy;
  readonly onRegistered: (made: Made) => void;
}

/** A policy without a name: a link to play it, and what can be done with it. */
export function PolicyRow({ policy, onRegistered }: PolicyRowProps) {
  const { deletions } = useSession();
  const deletePolicy = useDeletePolicy();
  const failure = useStore(deletions.failures).get(policy.policyId);
  const [naming, setNaming] = useState(false);
  const { policyId, environmentId, runId } = policy;
  const title = policyTitle(policy);
  const remove = () => deletions.offer(policyId, `Deleted: ${title}`, () => deletePolicy(policy));
  return (
    <div data-testid={`policy-row-${policyId}`}>
      <div className={styles.row}>
        <Link to={{ environmentId, runId, policyId }} className={styles.link}>
          <PolicyLine policy={policy} />
        </Link>
        <span className={styles.actions}>
          <Button size="small" onClick={() => setNaming(!naming)} aria-expanded={naming} data-testid="register-open">
            Register as…
          </Button>
          <Button
            size="small"
            variant="quiet"
            icon={<DeleteIcon />}
            aria-label={`Delete ${title}`}
            title="Delete"
            onClick={remove}
            data-testid="delete-policy"
          />
        </span>
      </div>
      {naming && <RegisterForm policy={policy} onMade={onRegistered} />}
      {failure && (
        <div className={styles.failure}>
          <FailureNotice failure={failure} onDismiss={() => deletions.dismiss(policyId)} onRetry={remove} />
        </div>
      )}
    </div>
  );
}
