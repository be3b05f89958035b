import { useId, useState } from "react";
import { useSession } from "../app/session";
import { formatAgo, formatPercent, formatReward } from "../format/format";
import type { Policy, PolicyMeasurement } from "../gen/tabrl/exporter/v1/exporter_pb";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./Measure.module.css";
import { useAction } from "./useAction";

const CHOICES = [5, 10, 20, 50];

interface MeasureProps {
  readonly name: string;
  readonly policy: Policy;
}

/** What was measured of a policy, newest first, and a button that measures it again. */
export function Measure({ name, policy }: MeasureProps) {
  const { registry } = useSession();
  const action = useAction();
  const [episodes, setEpisodes] = useState(5);
  const id = useId();
  const claimed = policy.imported?.claimedMeasurements ?? [];
  const measure = () => void action.run(() => registry.measure(policy.policyId, episodes, name));
  return (
    <div className={styles.measure}>
      {policy.measurements.length > 0 && <Table measurements={policy.measurements} caption="Measured here" />}
      {claimed.length > 0 && <Table measurements={claimed} caption="Its file says, measured elsewhere" />}
      {policy.measurements.length === 0 && (
        <p className={styles.words}>
          Not measured here yet. Measuring plays whole episodes, each from another start, in a simulation on the server.
        </p>
      )}
      <div className={styles.row}>
        <label htmlFor={id} className="hidden-visually">
          How many episodes
        </label>
        <select
          id={id}
          className={styles.episodes}
          value={episodes}
          disabled={action.busy}
          onChange={(event) => setEpisodes(Number(event.target.value))}
          data-testid="episodes"
        >
          {CHOICES.map((count) => (
            <option key={count} value={count}>
              {count} episodes
            </option>
          ))}
        </select>
        <Button size="small" busy={action.busy} onClick={measure} data-testid="measure">
          {action.busy ? "Measuring…" : "Measure"}
        </Button>
      </div>
      {action.busy && (
        <div role="status">
          <p className={styles.words}>It plays {episodes} episodes on the server.</p>
          <progress className={styles.progress} aria-label="Measuring" />
        </div>
      )}
      {action.failure && <FailureNotice failure={action.failure} onRetry={measure} />}
    </div>
  );
}

interface TableProps {
  readonly measurements: readonly PolicyMeasurement[];
  readonly caption: string;
}

function Table({ measurements, caption }: TableProps) {
  return (
    <table className={styles.table}>
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Episodes</th>
          <th scope="col">Return</th>
          <th scope="col">Lasts</th>
        </tr>
      </thead>
      <tbody>
        {measurements.slice(0, 5).map((each, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a measurement is its place in the list
          <tr key={index}>
            <th scope="row">{formatAgo(each.measureTime, Date.now())}</th>
            <td className="number">{each.episodes}</td>
            <td className="number">
              {formatReward(each.meanReturn)}
              {each.episodes > 1 && <small> ± {formatReward(each.stdReturn)}</small>}
            </td>
            <td className="number">{formatPercent(each.meanSurvived)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
