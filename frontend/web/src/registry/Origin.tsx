import type { ReactNode } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { formatAgo, formatCount } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { wordsOf } from "../policies/policyTitle";
import { useResource } from "../stores/resource";
import styles from "./Origin.module.css";

const DIGEST_SHOWN = 12;

/** Where a policy comes from, and who owns what is in it. */
export function Origin({ policy }: { readonly policy: Policy }) {
  const { registry } = useSession();
  const manifest = useResource(registry.manifests, policy.manifest?.sha256 ?? "");
  const { environmentId, runId, envSteps, createTime, lineage, imported, controller } = policy;
  const rewardId = policy.reward?.rewardId || lineage?.rewardId || "";
  const prompt = wordsOf(lineage?.prompt);
  const licences = manifest.value?.licences;
  return (
    <dl className={styles.facts}>
      {prompt && <Fact name="Asked for">“{prompt}”</Fact>}
      <Fact name="Robot and task">
        <Link to={{ environmentId }}>{environmentId}</Link>
      </Fact>
      <Fact name="Reward">
        {policy.reward && rewardId && !imported ? (
          <Link to={{ environmentId, rewardId }}>{rewardId}</Link>
        ) : policy.reward ? (
          "one that is not on record here"
        ) : (
          "the task's own"
        )}
      </Fact>
      {runId && (
        <Fact name="Training">
          <Link to={{ environmentId, runId }}>{runId}</Link>
        </Fact>
      )}
      <Fact name="Practice">
        {formatCount(envSteps)} steps, {formatAgo(createTime, Date.now())}
      </Fact>
      {imported && (
        <Fact name="Imported">
          {formatAgo(imported.importTime, Date.now())}; called {imported.policyId} where it was made
        </Fact>
      )}
      {controller && (
        <Fact name="SHA-256">
          <code title={controller.sha256}>{controller.sha256.slice(0, DIGEST_SHOWN)}…</code>
        </Fact>
      )}
      <Fact name="Licences">
        <span data-testid="licence-badge">
          {licences
            ? licences.length > 0
              ? licences.map(({ covers, spdxId }) => (
                  <span key={covers} className={styles.licence} title={covers}>
                    {spdxId || "its own"}
                  </span>
                ))
              : "none on record; ask who made it before you use it elsewhere"
            : manifest.failure
              ? "its manifest could not be read"
              : "…"}
        </span>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
