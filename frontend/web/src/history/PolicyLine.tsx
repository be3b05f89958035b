import { useSession } from "../app/session";
import { formatAgo, formatCount } from "../format/format";
import { Thumbnail } from "../gallery/Thumbnail";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { policyTitle } from "../policies/policyTitle";
import { ALL, useResource } from "../stores/resource";
import styles from "./RunLine.module.css";

/** A policy in two lines: what it was trained for, and how long. */
export function PolicyLine({ policy }: { readonly policy: Policy }) {
  const { gallery } = useSession();
  const environments = useResource(gallery, ALL).value?.environments;
  const title = policyTitle(policy);
  const environment = environments?.find((each) => each.environmentId === policy.environmentId);
  return (
    <div className={styles.line}>
      <div className={styles.picture}>
        <Thumbnail artifact={environment?.thumbnail} />
      </div>
      <div className={styles.text}>
        <p className={styles.title} title={title}>
          {title}
        </p>
        <p className={styles.facts}>
          <span>{environment?.title ?? policy.environmentId}</span>
          <span className="number">{formatCount(policy.envSteps)} steps</span>
          {policy.imported && <span data-testid="imported">imported</span>}
          <span>{formatAgo(policy.createTime, Date.now())}</span>
        </p>
      </div>
    </div>
  );
}
