import { useSession } from "../app/session";
import { formatAgo, formatCount, formatReward } from "../format/format";
import { Thumbnail } from "../gallery/Thumbnail";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { runTitle } from "../policies/policyTitle";
import { ALL, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { RunStatePill } from "../training/RunStatePill";
import styles from "./RunLine.module.css";

/** A run in two lines: what it was for, and how it went. Shows the live state when this tab follows the run. */
export function RunLine({ run: listed, pictured = true }: { readonly run: Run; readonly pictured?: boolean }) {
  const { gallery, runs } = useSession();
  const environments = useResource(gallery, ALL).value?.environments;
  const followed = useStore(runs.records).get(listed.runId)?.run;
  const run = followed && followed.revision >= listed.revision ? followed : listed;
  const environmentId = run.spec?.environmentId ?? "";
  const environment = environments?.find((each) => each.environmentId === environmentId);
  const reached = run.metrics?.episodeReturn;
  return (
    <div className={styles.line}>
      {pictured && (
        <div className={styles.picture}>
          <Thumbnail artifact={environment?.thumbnail} />
        </div>
      )}
      <div className={styles.text}>
        <p className={styles.title} title={run.spec?.title}>
          {runTitle(run)}
        </p>
        <p className={styles.facts}>
          {pictured && <span>{environment?.title ?? environmentId}</span>}
          <span>{formatAgo(run.createTime, Date.now())}</span>
          {run.metrics && <span className="number">{formatCount(run.metrics.envSteps)} steps</span>}
          {reached !== undefined && <span className="number">return {formatReward(reached)}</span>}
        </p>
      </div>
      <RunStatePill state={run.state} />
    </div>
  );
}
