import { formatCount, formatName, formatPercent, formatReward } from "../format/format";
import type { PolicyDifference } from "../gen/tabrl/exporter/v1/registry_pb";

/** One thing in which two policies differ, ready to be shown. */
export interface DifferenceRow {
  readonly key: string;
  readonly label: string;
  readonly left: string;
  readonly right: string;
  /** With its sign; empty where there is nothing to subtract. */
  readonly change: string;
  /** Whether the right one is better or worse in this; empty where more is neither. */
  readonly effect: "" | "better" | "worse";
}

const NOTHING = "–";

const LABELS: Readonly<Record<string, string>> = {
  environment: "Robot and task",
  mean_return: "Mean return",
  mean_survived: "How long it lasts",
  prompt: "Asked for",
  title: "Title",
  reward: "Reward",
  env_steps: "Practice, in steps",
  run: "Training",
  controller_bytes: "Size of the controller",
  parity: "Largest difference from training",
};

const MORE_IS_BETTER = new Set(["mean_return", "mean_survived"]);

/**
 * A difference in words for people. Returns of one term and weights are neither better nor worse: what counts is the sum, and that only
 * where `comparable` says that both are sums of the same.
 */
export function differenceRow({ name, left, right, change }: PolicyDifference, comparable: boolean): DifferenceRow {
  const written = (text: string) => (text === "" ? NOTHING : shown(name, text));
  return {
    key: name,
    label: label(name),
    left: written(left),
    right: written(right),
    change: change === undefined ? "" : signed(change, (size) => formatted(name, size)),
    effect: name === "mean_return" && !comparable ? "" : effectOf(name, change),
  };
}

function label(name: string): string {
  const term = /^(term_returns|reward\.weights)\.(.*)$/.exec(name);
  if (!term) return LABELS[name] ?? formatName(name);
  const [, kind, what = ""] = term;
  return `${kind === "term_returns" ? "Return of" : "Weight of"} ${formatName(what).toLowerCase()}`;
}

function effectOf(name: string, change: number | undefined): DifferenceRow["effect"] {
  if (!change) return "";
  if (MORE_IS_BETTER.has(name)) return change > 0 ? "better" : "worse";
  return "";
}

function shown(name: string, text: string): string {
  const value = Number(text.replaceAll(",", ""));
  return name !== "title" && name !== "prompt" && text.trim() !== "" && Number.isFinite(value)
    ? formatted(name, value)
    : text;
}

function formatted(name: string, value: number): string {
  if (name === "mean_survived") return formatPercent(value);
  if (name === "env_steps") return formatCount(value);
  if (name === "controller_bytes") return `${formatCount(value)}B`;
  return formatReward(value);
}

function signed(value: number, format: (size: number) => string): string {
  return `${value < 0 ? "−" : "+"}${format(Math.abs(value))}`;
}
