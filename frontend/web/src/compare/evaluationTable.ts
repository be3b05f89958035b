import { formatName, formatPercent, formatReward } from "../format/format";
import type { EvaluationSummary } from "../gen/tabrl/inference/v1/inference_pb";

/** One column: what was measured of one policy, as far as it is. */
export interface Column {
  readonly name: string;
  readonly rewardKey: string;
  readonly summary?: EvaluationSummary;
}

/** One thing that was measured, for every policy. */
export interface Row {
  readonly title: string;
  /** What is shown; empty where it is not measured, or the policy has no such term. */
  readonly cells: readonly string[];
  readonly values: readonly (number | undefined)[];
  /** Place of the best; undefined where there is none: a tie, fewer than two numbers, or numbers that do not compare. */
  readonly best: number | undefined;
}

/** The table of an evaluation: the return, how long they last, every term of any of them, and the time of a decision. */
export function rowsOf(columns: readonly Column[]): readonly Row[] {
  const compare = new Set(columns.map(({ rewardKey }) => rewardKey)).size === 1;
  const terms = [...new Set(columns.flatMap(({ summary }) => Object.keys(summary?.termReturns ?? {})))];
  const row = (
    title: string,
    read: (summary: EvaluationSummary) => number | undefined,
    show: (value: number, summary: EvaluationSummary) => string,
    best: (values: readonly (number | undefined)[]) => number | undefined,
  ): Row => {
    const values = columns.map(({ summary }) => summary && read(summary));
    const cells = columns.map(({ summary }, index) => {
      const value = values[index];
      return summary && value !== undefined ? show(value, summary) : "";
    });
    const place = best(values);
    // What looks the same is no better: the rest is noise.
    const alone = place !== undefined && cells.filter((cell) => cell === cells[place]).length === 1;
    return { title, cells, values, best: alone ? place : undefined };
  };
  const ifAlike = compare ? greatest : () => undefined;
  return [
    row(
      "Mean return",
      ({ meanReturn }) => meanReturn,
      (value, { stdReturn }) => `${formatReward(value)} ± ${formatReward(stdReturn)}`,
      ifAlike,
    ),
    row("Lasted", ({ meanSurvived }) => meanSurvived, formatPercent, greatest),
    ...terms.map((term) => row(formatName(term), ({ termReturns }) => termReturns[term], formatReward, ifAlike)),
    row(
      "Time of a decision",
      ({ controlLatencySecs }) => controlLatencySecs,
      formatMs,
      (values) => greatest(values.map((value) => value && -value)),
    ),
  ];
}

/** Place of the one number above all others; undefined where two share it, or there is nothing to compare with. */
function greatest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length < 2) return undefined;
  const most = Math.max(...known);
  return known.filter((value) => value === most).length === 1 ? values.indexOf(most) : undefined;
}

function formatMs(secs: number): string {
  const ms = secs * 1000;
  return `${ms < 1 ? ms.toFixed(2) : ms.toFixed(1)}\u00a0ms`;
}

/** The table as comma-separated values, with whole numbers as they were measured (RFC 4180). */
export function csvOf(columns: readonly Column[], rows: readonly Row[]): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows.map(({ title, values }) => [
    title,
    ...values.map((value) => (value === undefined ? "" : String(value))),
  ]);
  const deviations = [
    "Standard deviation of the return",
    ...columns.map(({ summary }) => String(summary?.stdReturn ?? "")),
  ];
  const [first = [], ...others] = lines;
  return [["", ...columns.map(({ name }) => name)], first, deviations, ...others]
    .map((cells) => cells.map(quoted).join(","))
    .join("\n");
}

/** The table in Markdown, as shown, the best of each row in bold. */
export function markdownOf(columns: readonly Column[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const body = rows.map(({ title, cells, best }) =>
    line([title, ...cells.map((cell, index) => (index === best ? `**${cell}**` : cell || "–"))]),
  );
  return [line(["", ...columns.map(({ name }) => name)]), line(["---", ...columns.map(() => "---:")]), ...body].join(
    "\n",
  );
}
