import { useState } from "react";
import { useSession } from "../app/session";
import { matches } from "../format/matching";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { policyTitle } from "../policies/policyTitle";
import { ALL, useFresh, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import { byRun } from "./byRun";
import { PolicyRow } from "./PolicyRow";
import { type Made, RegisteredAs } from "./RegisterForm";
import styles from "./Unregistered.module.css";
import { useRegistered } from "./useRegistered";

interface UnregisteredProps {
  readonly robotOf: (policy: Policy) => string;
  /** Only policies of this robot; empty for all. */
  readonly robot: string;
  readonly text: string;
}

/** The policies that have no name, those of one run together. */
export function Unregistered({ robotOf, robot, text }: UnregisteredProps) {
  const { policyLists, registry, deletions } = useSession();
  const listed = useFresh(policyLists, ALL);
  const names = useResource(registry.lists, ALL);
  const registered = useRegistered(names.value?.items);
  const gone = useStore(deletions.gone);
  // A policy that has a name from now on leaves this list with its form.
  const [made, setMade] = useState<Made>();
  const policies = listed.value?.items.filter(
    (policy) =>
      !registered.has(policy.policyId) &&
      !gone.has(policy.policyId) &&
      (!robot || robotOf(policy) === robot) &&
      matches(text, policyTitle(policy), policy.environmentId, robotOf(policy)),
  );

  return (
    <section className={styles.section} aria-labelledby="unregistered" data-testid="unregistered">
      <h2 id="unregistered">Not registered</h2>
      <p className={styles.intro}>
        Every training keeps a policy each time it has practised a while. The newest of each training is on top.
      </p>
      {/* What keeps the names away keeps these away too, and is said once. */}
      {listed.failure && !names.failure && (
        <FailureNotice failure={listed.failure} onRetry={() => policyLists.reload(ALL)} />
      )}
      {made && <RegisteredAs made={made} />}
      <ul className={styles.list} aria-busy={listed.loading}>
        {policies &&
          byRun(policies).map(({ key, newest, earlier }) => (
            <li key={key} className={styles.run}>
              <PolicyRow key={newest.policyId} policy={newest} onRegistered={setMade} />
              {earlier.length > 0 && (
                <details className={styles.earlier}>
                  <summary>
                    {earlier.length} earlier {earlier.length === 1 ? "policy" : "policies"} of this training
                  </summary>
                  <ul>
                    {earlier.map((policy) => (
                      <li key={policy.policyId}>
                        <PolicyRow policy={policy} onRegistered={setMade} />
                      </li>
                    ))}
                  </ul>
                </details>
              )}
            </li>
          ))}
        {!policies && !listed.failure && <li className={styles.placeholder} />}
      </ul>
      {policies?.length === 0 && (
        <p className={styles.intro}>
          {listed.value?.items.length === 0
            ? "Nothing was trained here yet. Policies appear once a robot has practised for a while."
            : text || robot
              ? "None of them matches."
              : "Every policy listed so far has a name."}
        </p>
      )}
      {listed.value?.nextPageToken && (
        <Button busy={listed.loading} onClick={() => policyLists.more(ALL)} data-testid="more-policies">
          Show more
        </Button>
      )}
    </section>
  );
}
