import { formatName, formatReward } from "../format/format";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import styles from "./WeightChanges.module.css";

interface WeightChangesProps {
  readonly before: Reward;
  readonly after: Reward;
}

/** The weights of two rewards beside one another: what stayed, what changed, what came and what went. */
export function WeightChanges({ before, after }: WeightChangesProps) {
  const old = new Map(before.terms.map(({ name, weight }) => [name, weight]));
  const now = new Map(after.terms.map(({ name, weight }) => [name, weight]));
  const names = [...now.keys(), ...[...old.keys()].filter((name) => !now.has(name))];
  return (
    <table className={styles.weights} data-testid="weight-changes">
      <thead>
        <tr>
          <th scope="col">Part</th>
          <th scope="col">Before</th>
          <th scope="col">Now</th>
        </tr>
      </thead>
      <tbody>
        {names.map((name) => {
          const [was, is] = [old.get(name), now.get(name)];
          const kind = was === undefined ? "added" : is === undefined ? "gone" : was === is ? "same" : "changed";
          return (
            <tr key={name} className={styles[kind]} data-kind={kind}>
              <th scope="row">{formatName(name)}</th>
              <td className="number">{was === undefined ? "new" : formatReward(was)}</td>
              <td className="number">{is === undefined ? "left out" : formatReward(is)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
