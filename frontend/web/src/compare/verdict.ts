import { formatPercent, formatReward } from "../format/format";
import { clearlyAbove, type Sample } from "../policies/statistics";

/** A policy that may win, with what was measured of it. */
export interface Contender {
  /** What it is called in the sentence. */
  readonly name: string;
  /** What it is called in the reasons: its letter. */
  readonly letter: string;
  /** Equal for those whose returns are sums of the same. */
  readonly rewardKey: string;
  /** Returns of its episodes; absent while they are not measured. */
  readonly returns?: Sample;
  /** Parts of the episode that it lasted, 0 to 1. */
  readonly survival?: Sample;
  /** How well it withstands disturbances, 0 to 1; absent while that is not measured. */
  readonly robustness?: number;
}

/** Who is best of those compared, and why. */
export interface Verdict {
  /** Place of the winner among the contenders; undefined where it is too close to call, or nothing is measured. */
  readonly winner: number | undefined;
  /** One sentence. */
  readonly sentence: string;
  /** What speaks for it, what against, and what could not be judged; a sentence each. */
  readonly reasons: readonly string[];
}

/** Difference of robustness below which none is told: it is measured on a few episodes. */
const ROBUSTNESS_MARGIN = 0.05;

type Measure = "return" | "survival" | "robustness";

/** Whether the first clearly does better than the second; undefined where one of them is not measured. */
type Comparison = (a: Contender, b: Contender) => boolean | undefined;

const COMPARISONS: Readonly<Record<Measure, Comparison>> = {
  return: (a, b) => (a.returns && b.returns ? clearlyAbove(a.returns, b.returns) : undefined),
  survival: (a, b) => (a.survival && b.survival ? clearlyAbove(a.survival, b.survival) : undefined),
  robustness: (a, b) =>
    a.robustness !== undefined && b.robustness !== undefined
      ? a.robustness - b.robustness > ROBUSTNESS_MARGIN
      : undefined,
};

const WINS: Readonly<Record<Measure, string>> = {
  return: "it earns more",
  survival: "it lasts longer",
  robustness: "it withstands disturbances better",
};

const CLOSE: Readonly<Record<Measure, string>> = {
  return: "The returns are too close to call: no lead is larger than two standard errors.",
  survival: "None lasts clearly longer than the others.",
  robustness: "None withstands disturbances clearly better than the others.",
};

/**
 * Judges by the return where all learned for the same reward, then by how long they last, then by how they withstand disturbances: the
 * first measure in which one clearly leads all others decides. Returns of different rewards do not compare and are left out.
 */
export function verdictOf(contenders: readonly Contender[]): Verdict {
  const measured = contenders.filter(({ returns }) => returns !== undefined);
  if (contenders.length < 2)
    return { winner: undefined, sentence: "Add another policy to find the better one.", reasons: [] };
  if (measured.length < contenders.length) {
    const sentence = "Evaluate all of them to find the best one.";
    return { winner: undefined, sentence, reasons: [] };
  }
  const common = new Set(contenders.map(({ rewardKey }) => rewardKey)).size === 1;
  const measures: readonly Measure[] = common ? ["return", "survival", "robustness"] : ["survival", "robustness"];
  const unlike =
    "They learned for different rewards, so their returns do not compare: they are judged by how long they last and how they withstand disturbances.";
  const reasons = common ? [] : [unlike];
  for (const measure of measures) {
    const better = COMPARISONS[measure];
    if (contenders.some((each) => better(each, each) === undefined)) {
      if (measure === "robustness") reasons.push("Measure their robustness to judge by that, too.");
      continue;
    }
    const winner = contenders.findIndex((each) => contenders.every((other) => other === each || better(each, other)));
    if (winner < 0) {
      reasons.push(CLOSE[measure]);
      continue;
    }
    const best = contenders[winner];
    if (!best) break;
    const others = contenders.filter((each) => each !== best);
    const told = measures.flatMap((each) => reasonFor(each, best, others));
    return { winner, sentence: `${best.name} wins: ${WINS[measure]}.`, reasons: [...reasons, ...told] };
  }
  return { winner: undefined, sentence: "Too close to call.", reasons };
}

/** What the winner's numbers are beside those of the others; nothing where they are not measured. */
function reasonFor(measure: Measure, best: Contender, others: readonly Contender[]): readonly string[] {
  const told = shown(measure, best);
  if (!told || others.some((each) => !shown(measure, each))) return [];
  const against = others.map((each) => `${shown(measure, each)} (${each.letter})`).join(", ");
  const beaten = others.some((each) => COMPARISONS[measure](each, best));
  const leads = others.every((each) => COMPARISONS[measure](best, each));
  const standing = beaten ? ", which speaks against it" : leads ? "" : ", not clearly apart";
  return [`${TITLES[measure]}: ${told} against ${against}${standing}.`];
}

const TITLES: Readonly<Record<Measure, string>> = {
  return: "Mean return",
  survival: "Part of the episode that it lasts",
  robustness: "Robustness",
};

function shown(measure: Measure, { returns, survival, robustness }: Contender): string {
  if (measure === "return") return returns ? formatReward(returns.mean) : "";
  if (measure === "survival") return survival ? formatPercent(survival.mean) : "";
  return robustness === undefined ? "" : formatPercent(robustness);
}
