import { useId } from "react";
import { formatCount, formatReward } from "../format/format";
import type { StartingPoint } from "../stores/startingPoints";
import fieldStyles from "../ui/Field.module.css";
import styles from "./StartSettings.module.css";

interface StartFromProps {
  readonly points: readonly StartingPoint[];
  readonly chosen: string;
  readonly onChoose: (policyId: string) => void;
}

/** Which policy to go on from: named ones first, then the best of each run. */
export function StartFrom({ points, chosen, onChoose }: StartFromProps) {
  const id = useId();
  const listed = points.some(({ policyId }) => policyId === chosen);
  const named = points.filter(({ registered }) => registered);
  const trained = points.filter(({ registered }) => !registered);
  const options = (group: readonly StartingPoint[]) =>
    group.map((point) => (
      <option key={point.policyId} value={point.policyId}>
        {labelOf(point)}
      </option>
    ));
  return (
    <div className={styles.row}>
      <label htmlFor={id}>Go on from</label>
      <select
        id={id}
        className={fieldStyles.input}
        value={chosen}
        onChange={(event) => onChoose(event.target.value)}
        data-testid="start-from"
      >
        {!listed && chosen && <option value={chosen}>The policy that you chose</option>}
        {named.length > 0 && <optgroup label="Registered">{options(named)}</optgroup>}
        {trained.length > 0 && <optgroup label="The best of each run">{options(trained)}</optgroup>}
      </select>
    </div>
  );
}

function labelOf({ title, envSteps, episodeReturn }: StartingPoint): string {
  const reached = episodeReturn === undefined ? "" : `, return ${formatReward(episodeReturn)}`;
  const short = title.length > 60 ? `${title.slice(0, 59)}…` : title;
  return `${short || "Its own task"} · ${formatCount(envSteps)} steps${reached}`;
}
