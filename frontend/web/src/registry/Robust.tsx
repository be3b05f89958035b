import { useSession } from "../app/session";
import { formatName, formatPercent } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { DISTURBANCES } from "../policies/disturbances";
import { useResource } from "../stores/resource";
import { keptReturn, robustnessScore, useRobustness } from "../stores/robustness";
import { Button } from "../ui/Button";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./Robust.module.css";

const TITLES = new Map<string, string>(DISTURBANCES.map(({ disturbance, title }) => [disturbance, title]));

/** How well a policy withstands what it was not trained with: measured in this browser, and kept in it. */
export function Robust({ policy }: { readonly policy: Policy }) {
  const { robustness, policyScenes } = useSession();
  const scene = useResource(policyScenes, policy.manifest?.sha256 ?? "");
  const known = useRobustness(robustness, policy.controller?.sha256 ?? "");
  const bundle = scene.value;
  const disturbed = known?.report?.trials.filter(({ disturbance }) => disturbance !== "none") ?? [];
  const measure = () => bundle && void robustness.measure(policy, bundle);
  return (
    <div className={styles.robust} data-testid="robustness">
      <div className={styles.head}>
        <h5>When it is disturbed</h5>
        {known?.status === "running" ? (
          <Button size="small" onClick={() => robustness.cancel(policy.controller?.sha256 ?? "")}>
            Stop
          </Button>
        ) : (
          <Button size="small" disabled={!bundle} onClick={measure} data-testid="measure-robustness">
            {known?.report ? "Measure again" : "Measure in this tab"}
          </Button>
        )}
      </div>
      {known?.status === "running" && (
        <p className={styles.progress}>
          <progress value={known.progress} max={1} aria-label="Measuring how it withstands disturbances" />
          <span className="number">{formatPercent(known.progress)}</span>
        </p>
      )}
      {!known?.report && known?.status !== "running" && (
        <p className={styles.words}>
          Not measured yet. It plays here while it is pushed, loaded, weakened and confused; that takes a minute or so.
        </p>
      )}
      {known?.problem && (
        <Notice tone="danger" title="It could not be measured">
          <p>{known.problem}</p>
        </Notice>
      )}
      {scene.failure && (
        <FailureNotice failure={scene.failure} onRetry={() => policyScenes.reload(policy.manifest?.sha256 ?? "")} />
      )}
      {disturbed.length > 0 && (
        <table className={styles.table}>
          <caption>How much of an episode it lasts, and how much of its undisturbed return it keeps</caption>
          <thead>
            <tr>
              <th scope="col">Disturbance</th>
              <th scope="col">Lasts</th>
              <th scope="col">Keeps</th>
            </tr>
          </thead>
          <tbody>
            {disturbed.map(({ disturbance, survival, relativeReturn }) => (
              <tr key={disturbance}>
                <th scope="row">{TITLES.get(disturbance) ?? formatName(disturbance)}</th>
                <td className="number">{formatPercent(survival)}</td>
                <td className="number">{relativeReturn === null ? "–" : formatPercent(keptReturn(relativeReturn))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

/** The mean over all disturbances as a mark beside others; nothing where it was not measured in this browser. */
export function RobustnessBadge({ policy }: { readonly policy: Policy | undefined }) {
  const { robustness } = useSession();
  const report = useRobustness(robustness, policy?.controller?.sha256 ?? "")?.report;
  if (!report) return null;
  const words = "How much of what it does undisturbed is left when it is pushed, loaded, weakened or confused";
  return (
    <span className={styles.badge} title={words} data-testid="robustness-badge">
      Robust {formatPercent(robustnessScore(report))}
    </span>
  );
}
