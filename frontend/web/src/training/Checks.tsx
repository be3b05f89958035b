import { formatCount, formatName, formatPercent, formatReward } from "../format/format";
import type { TermWarning, TrainingMetrics } from "../gen/tabrl/trainer/v1/trainer_pb";
import { seriesColor } from "../studio/seriesColor";
import { Notice } from "../ui/Notice";
import styles from "./Checks.module.css";

interface ChecksProps {
  readonly metrics: TrainingMetrics;
  readonly termNames: readonly string[];
  readonly highlighted: string;
}

/** What training notices by itself: what each term makes up of the reward, whether episodes last, and whether it still improves. */
export function Checks({ metrics, termNames, highlighted }: ChecksProps) {
  const terms = termNames.filter((name) => metrics.termStatistics[name]);
  const { plateauSinceEnvSteps: plateau, easierUntilEnvSteps: easier, warnings } = metrics;
  const signs = [
    easier === undefined
      ? ""
      : `An easier form of the task until step ${formatCount(easier)}; returns are of that form.`,
    survivalOf(metrics),
    plateau === undefined ? "" : `No better since ${formatCount(plateau)} steps.`,
  ];
  const said = signs.filter((sign) => sign !== "").join(" ");
  if (terms.length < 2 && said === "" && warnings.length === 0) return null;
  return (
    <div className={styles.checks} data-testid="checks">
      {terms.length > 1 && (
        <div className={styles.shares}>
          <span>Share of reward</span>
          <ul className={styles.bar}>
            {terms.map((name) => (
              <li
                key={name}
                className={highlighted !== "" && highlighted !== name ? styles.faded : undefined}
                style={{ flexGrow: metrics.termStatistics[name]?.share ?? 0, background: seriesColor(termNames, name) }}
                title={describe(name, metrics)}
                aria-label={describe(name, metrics)}
              />
            ))}
          </ul>
        </div>
      )}
      {said !== "" && <p>{said}</p>}
      {warnings.map((warning) => (
        <Notice key={`${warning.kind} ${warning.term}`} tone="warn">
          <p>{warning.text}</p>
        </Notice>
      ))}
    </div>
  );
}

/** Whether a line of the log is one of the warnings that are shown already; the numbers in it may have moved on. */
export function isShown(text: string, warnings: readonly TermWarning[]): boolean {
  return warnings.some(({ term }) => text.startsWith(`The term '${term}' `));
}

function survivalOf({ survival, episodeShare }: TrainingMetrics): string {
  if (survival === undefined || survival >= 1) return "";
  const length = episodeShare === undefined ? "" : `, ${formatPercent(episodeShare)} of it on average`;
  return `${formatPercent(survival)} of the episodes last their whole time${length}.`;
}

function describe(name: string, { termStatistics }: TrainingMetrics): string {
  const term = termStatistics[name];
  if (!term) return formatName(name);
  const spread = `${formatReward(term.mean)} ± ${formatReward(term.std)} a step`;
  return `${formatName(name)}: ${formatPercent(term.share)} of the reward, ${spread}`;
}
