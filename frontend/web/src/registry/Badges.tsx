import { formatPercent, formatReward } from "../format/format";
import type { ParityReport, Policy, PolicyMeasurement } from "../gen/tabrl/exporter/v1/exporter_pb";
import { Pill } from "../ui/Pill";
import styles from "./Badges.module.css";

/** Whether what plays is what was trained. */
export function ParityBadge({ policy }: { readonly policy: Policy | undefined }) {
  const { parity, imported } = policy ?? {};
  if (parity?.passed) {
    return (
      <span
        title={`Checked against training on ${parity.states} states${drivenWords(parity)}`}
        data-testid="parity-badge"
      >
        <Pill tone="good">Exact to {exponent(worst(parity))}</Pill>
      </span>
    );
  }
  const claimed = imported?.claimedParity?.passed;
  const why = claimed
    ? "Its file says that it is exact; nobody here has the training to check it with"
    : "Nothing is on record about how close it is to its training";
  return (
    <span title={why} data-testid="parity-badge">
      <Pill>{claimed ? "Exact, its file says" : "Not checked"}</Pill>
    </span>
  );
}

/** That a policy came in a file from elsewhere. */
export function ImportedMark() {
  return (
    <span
      className={styles.imported}
      title="It came in a .tabrl file and was trained elsewhere"
      data-testid="imported-mark"
    >
      imported
    </span>
  );
}

interface MeasuredProps {
  readonly measured: PolicyMeasurement | undefined;
}

/** How well it does, as two numbers. */
export function Measured({ measured }: MeasuredProps) {
  if (!measured) return <p className={styles.unmeasured}>Not measured yet</p>;
  return (
    <dl className={styles.measured}>
      <div>
        <dt>Return</dt>
        <dd className="number">
          {formatReward(measured.meanReturn)}
          {measured.episodes > 1 && <small> ± {formatReward(measured.stdReturn)}</small>}
        </dd>
      </div>
      <div>
        <dt>Lasts</dt>
        <dd className="number">{formatPercent(measured.meanSurvived)}</dd>
      </div>
    </dl>
  );
}

function worst({ outputs, tolerance }: ParityReport): number {
  return Math.max(tolerance, ...outputs.map(({ maxDifference }) => maxDifference));
}

/** The power of ten that a difference stays below: `1e-5`. */
function exponent(value: number): string {
  return value > 0 ? `1e${Math.ceil(Math.log10(value) - 1e-9)}` : "the last digit";
}

function drivenWords({ closedLoop }: ParityReport): string {
  if (!closedLoop?.passed) return "";
  return `, and driving the robot for ${Math.round(closedLoop.secs)} s at a time it went the same way`;
}
