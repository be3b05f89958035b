import { formatName, formatReward } from "../format/format";
import type { ClosedLoopReport, OutputDifference, ParityReport, Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import styles from "./Parity.module.css";

/** That what plays here is what was trained: the gate that the controller passed, number by number on request. */
export function Parity({ policy: { parity: own, imported } }: { readonly policy: Policy }) {
  const parity = own ?? imported?.claimedParity;
  if (!parity?.passed) return null;
  return (
    <details className={styles.parity} data-testid="parity">
      <summary>
        {own ? "" : "Its file says, and nobody here can check: "}
        {inWords(parity)}
      </summary>
      {parity.closedLoop && <Driven closedLoop={parity.closedLoop} />}
      <Outputs outputs={parity.outputs} />
    </details>
  );
}

function Driven({ closedLoop: { episodes } }: { readonly closedLoop: ClosedLoopReport }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <section className={styles.wide} tabIndex={0} aria-label="Driving the robot">
      <table className={styles.table}>
        <caption>Driving the robot, the exported policy beside the one in training</caption>
        <thead>
          <tr>
            <th>Start</th>
            <th>Return</th>
            <th>In training</th>
            <th>Lasted</th>
            <th>Together for</th>
          </tr>
        </thead>
        <tbody>
          {episodes.map((episode) => (
            <tr key={episode.reset}>
              <th>{episode.reset + 1}</th>
              <td className="number">{formatReward(episode.controllerReturn)}</td>
              <td className="number">{formatReward(episode.sourceReturn)}</td>
              <td className="number">{episode.controllerSteps} steps</td>
              <td className="number">{episode.togetherSecs.toFixed(1)} s</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** More outputs than this scroll, and fade out at the end to say so. */
const SHOWN_OUTPUTS = 8;

function Outputs({ outputs }: { readonly outputs: readonly OutputDifference[] }) {
  return (
    <section
      className={`${styles.wide} ${outputs.length > SHOWN_OUTPUTS ? styles.long : ""}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
      tabIndex={0}
      aria-label="Each output"
    >
      <table className={styles.table}>
        <caption>
          Largest difference of each of {outputs.length} outputs, relative to the larger of 1 and the value
        </caption>
        <thead>
          <tr>
            <th>Output</th>
            <th>Differs by</th>
            <th>Allowed</th>
          </tr>
        </thead>
        <tbody>
          {outputs.map(({ name, maxDifference, tolerance }) => (
            <tr key={name}>
              <th>{outputName(name)}</th>
              <td className="number">{small(maxDifference)}</td>
              <td className="number">{small(tolerance)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function inWords({ states, outputs, closedLoop }: ParityReport): string {
  const largest = Math.max(0, ...outputs.map(({ maxDifference }) => maxDifference));
  const checked = `Checked against training on ${states} states: what drives the robot here differs by at most ${small(largest)}`;
  return closedLoop ? `${checked}, and was tried for ${Math.round(closedLoop.secs)} s at a time.` : `${checked}.`;
}

function small(value: number): string {
  return value === 0 ? "0" : value.toExponential(0);
}

function outputName(name: string): string {
  const [role = "", field] = name.split(/\.(.*)/s);
  return field === undefined ? formatName(role) : `${formatName(role)} · ${formatName(field)}`;
}
