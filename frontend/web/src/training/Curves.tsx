import { useMemo, useState } from "react";
import { formatCount, formatName, formatPercent, formatReward } from "../format/format";
import type { TrainingMetrics } from "../gen/tabrl/trainer/v1/trainer_pb";
import { type ReturnScale, whatReturnIs } from "../policies/episodeReturn";
import { seriesColor } from "../studio/seriesColor";
import styles from "./Curves.module.css";
import { curveData } from "./curveData";
import { LineChart, type LineChartProps, type LineSeries } from "./LineChart";

interface CurvesProps {
  readonly history: readonly TrainingMetrics[];
  readonly termNames: readonly string[];
  readonly highlighted: string;
  readonly scale: ReturnScale;
  /** Steps that are to be practised in all. */
  readonly untilSteps: number;
}

/** How the return of an episode grows with practice, in total and by term, and how fast the practice goes. */
export function Curves({ history, termNames, highlighted, scale, untilSteps }: CurvesProps) {
  const [hovered, setHovered] = useState<number | null>(null);
  const data = useMemo(() => curveData(history, termNames), [history, termNames]);
  const names = data.names;
  const order = termNames.length > 0 ? termNames : names;
  const series: LineSeries[] = useMemo(
    () => [
      { label: "Return", color: "var(--ink)", width: 2.2, values: data.returns },
      { label: "Projected", color: "var(--line-strong)", width: 1.5, dashed: true, values: data.projected },
      ...names.map((name, index) => ({
        label: formatName(name),
        color: seriesColor(order, name),
        width: highlighted === name ? 2.6 : 1.3,
        values: data.terms[index] ?? [],
      })),
    ],
    [data, names, order, highlighted],
  );
  const speed: LineSeries[] = useMemo(
    () => [{ label: "Steps per second", color: "var(--series-6)", width: 1.4, filled: true, values: data.speed }],
    [data],
  );
  const survival: LineSeries[] = useMemo(
    () => [{ label: "Survival", color: "var(--series-1)", width: 1.4, filled: true, values: data.survival }],
    [data],
  );
  const survived = data.survival.some((share) => share !== null);
  const shown = hovered ?? data.steps.length - 1;
  const value = (each: LineSeries) => each.values[shown];
  const axis = { steps: data.steps, untilSteps, onHover: setHovered };

  return (
    <figure className={styles.curves} data-testid="curves">
      <figcaption className={styles.caption}>
        <span>
          <strong>Return</strong>: {whatReturnIs(scale)}
        </span>
        <span className="number">
          {data.steps.length > 0 ? `after ${formatCount(data.steps[shown] ?? 0)} steps` : ""}
        </span>
      </figcaption>
      <LineChart {...axis} series={series} height={168} format={formatReward} />
      <ul className={styles.legend}>
        {series.map((each) => {
          const at = value(each);
          if (each.dashed && at == null) return null;
          return (
            <li key={each.label}>
              <span style={{ background: each.color }} aria-hidden="true" />
              {each.label} <b className="number">{at == null ? "–" : formatReward(at)}</b>
            </li>
          );
        })}
      </ul>
      <Strip
        {...axis}
        series={survival}
        format={formatPercent}
        name="Whole episodes"
        title="Share of the newest episodes that lasted their whole time"
        value={survived ? (data.survival[shown] ?? 0) : undefined}
      />
      <Strip
        {...axis}
        series={speed}
        format={formatCount}
        name="Steps per second"
        value={data.speed.length > 0 ? (data.speed[shown] ?? 0) : undefined}
      />
    </figure>
  );
}

interface StripProps extends Omit<LineChartProps, "height" | "bare"> {
  readonly name: string;
  readonly title?: string;
  /** At the steps that are pointed at; undefined where it was not measured. */
  readonly value: number | undefined;
}

/** One measure in a low chart of its own, with its value before it. */
function Strip({ name, title, value, ...chart }: StripProps) {
  return (
    <div className={styles.lowChart}>
      <span className={styles.strip} title={title}>
        {name} <b className="number">{value === undefined ? "–" : chart.format(value)}</b>
      </span>
      <LineChart {...chart} height={44} bare />
    </div>
  );
}
