import { useState } from "react";
import { useSession } from "../app/session";
import { formatPercent } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { RobustnessReport } from "../player/robustness";
import { keptReturn, robustnessScore } from "../stores/robustness";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { DISTURBANCES } from "./disturbances";
import { laneColor, laneLetter } from "./lanes";
import { RadarChart } from "./RadarChart";
import styles from "./RobustnessPanel.module.css";

/** A lane of which something can be measured. */
export interface Measured {
  readonly policy: Policy;
  readonly place: number;
  /** What it is called in a sentence or a file. */
  readonly name: string;
}

const MEASURES = [
  ["survival", "Lasts"],
  ["return", "Keeps its return"],
] as const;
type Measure = (typeof MEASURES)[number][0];

interface RobustnessPanelProps {
  readonly lanes: readonly Measured[];
  readonly bundle: SceneBundle | undefined;
}

/** How well each policy withstands what it was not trained with: measured in this browser, and kept here. */
export function RobustnessPanel({ lanes, bundle }: RobustnessPanelProps) {
  const { robustness } = useSession();
  const known = useStore(robustness.store);
  const [measure, setMeasure] = useState<Measure>("return");
  const of = lanes.map(({ policy }) => known.get(policy.controller?.sha256 ?? ""));
  const running = of.some((each) => each?.status === "running");
  const missing = lanes.filter((_, index) => !of[index]?.report);
  const shapes = lanes.flatMap(({ place, name }, index) => {
    const report = of[index]?.report;
    return report ? [{ name, color: laneColor(place), shares: sharesOf(report, measure) }] : [];
  });

  function measureThem() {
    if (!bundle) return;
    for (const { policy } of missing.length > 0 ? missing : lanes) void robustness.measure(policy, bundle);
  }

  function cancel() {
    for (const { policy } of lanes) robustness.cancel(policy.controller?.sha256 ?? "");
  }

  return (
    <section className={styles.robustness} aria-labelledby="robustness">
      <div className={styles.bar}>
        <h2 id="robustness">Robustness</h2>
        {running ? (
          <Button onClick={cancel} data-testid="cancel-robustness">
            Cancel
          </Button>
        ) : (
          <Button disabled={!bundle} onClick={measureThem} data-testid="measure-robustness">
            {missing.length > 0 ? "Measure robustness" : "Measure again"}
          </Button>
        )}
      </div>
      <p className={styles.words}>
        Each plays in this browser while it is pushed, loaded, put on slippery ground, weakened, confused and slowed
        down. Shown is how much is left of what it does undisturbed.
      </p>
      {running && (
        <ul className={styles.progress} data-testid="robustness-progress">
          {lanes.map(({ place }, index) => {
            const { status, progress = 0 } = of[index] ?? {};
            return (
              status === "running" && (
                <li key={place}>
                  <span>{laneLetter(place)}</span>
                  <progress value={progress} max={1} aria-label={`Measuring ${laneLetter(place)}`} />
                  <span className="number">{formatPercent(progress)}</span>
                </li>
              )
            );
          })}
        </ul>
      )}
      {lanes.map(({ place }, index) => {
        const problem = of[index]?.problem;
        return (
          problem && (
            <Notice key={place} tone="danger" title={`${laneLetter(place)} could not be measured`}>
              <p>{problem}</p>
            </Notice>
          )
        );
      })}
      {shapes.length > 0 && (
        <div className={styles.found}>
          <figure>
            <fieldset className={styles.measures}>
              <legend className="hidden-visually">What the chart shows</legend>
              {MEASURES.map(([value, title]) => (
                <button key={value} type="button" aria-pressed={measure === value} onClick={() => setMeasure(value)}>
                  {title}
                </button>
              ))}
            </fieldset>
            <RadarChart axes={DISTURBANCES.map(({ title }) => title)} shapes={shapes} />
          </figure>
          <RobustnessTable lanes={lanes} reports={of.map((each) => each?.report)} />
        </div>
      )}
    </section>
  );
}

/** What lies on each axis of the radar. */
function sharesOf({ trials }: RobustnessReport, measure: Measure): readonly (number | undefined)[] {
  return DISTURBANCES.map(({ disturbance }) => {
    const trial = trials.find((each) => each.disturbance === disturbance);
    if (measure === "survival") return trial?.survival;
    return trial && trial.relativeReturn !== null ? keptReturn(trial.relativeReturn) : undefined;
  });
}

interface RobustnessTableProps {
  readonly lanes: readonly Measured[];
  readonly reports: readonly (RobustnessReport | undefined)[];
}

function RobustnessTable({ lanes, reports }: RobustnessTableProps) {
  return (
    <section
      className={styles.scroll}
      aria-label="Robustness in numbers"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
      tabIndex={0}
    >
      <table data-testid="robustness-table">
        <caption>How much of an episode it lasts, and how much of its undisturbed return it keeps</caption>
        <thead>
          <tr>
            <td />
            {lanes.map(({ place }) => (
              <th key={place} scope="col">
                <span className={styles.letter} style={{ background: laneColor(place) }}>
                  {laneLetter(place)}
                </span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {DISTURBANCES.map(({ disturbance, title }) => (
            <tr key={disturbance}>
              <th scope="row">{title}</th>
              {lanes.map(({ place }, index) => {
                const trial = reports[index]?.trials.find((each) => each.disturbance === disturbance);
                return (
                  <td key={place} className="number">
                    {trial
                      ? `${formatPercent(trial.survival)} · ${trial.relativeReturn === null ? "–" : formatPercent(trial.relativeReturn)}`
                      : "–"}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">In all</th>
            {lanes.map(({ place }, index) => {
              const report = reports[index];
              return (
                <td key={place} className="number">
                  <b>{report ? formatPercent(robustnessScore(report)) : "–"}</b>
                </td>
              );
            })}
          </tr>
        </tfoot>
      </table>
    </section>
  );
}
