import { formatPercent, formatReward } from "../format/format";
import type { Policy, PolicyMeasurement } from "../gen/tabrl/exporter/v1/exporter_pb";
import { rewardKey } from "../policies/rewardKey";
import { clearlyAbove, sharesOfMean, summedUp } from "../policies/statistics";

/** Which of two policies does better, in words, and how sure that is. */
export interface Verdict {
  /** Empty where neither is better, or that cannot be told. */
  readonly better: "" | "A" | "B";
  readonly headline: string;
  readonly reasons: readonly string[];
  /** Whose measurement is missing. */
  readonly unmeasured: readonly ("A" | "B")[];
}

/** What a policy measured last on this machine. */
export function newestMeasurement(policy: Policy | undefined): PolicyMeasurement | undefined {
  return policy?.measurements[0];
}

/**
 * Compares two policies by what was measured of them last, as a comparison side by side does: one is better whose mean return is above the
 * other's by more than two standard errors of the difference.
 */
export function verdictOf(a: Policy, b: Policy): Verdict {
  const [measuredA, measuredB] = [newestMeasurement(a), newestMeasurement(b)];
  if (!measuredA || !measuredB) {
    const unmeasured = [...(measuredA ? [] : ["A" as const]), ...(measuredB ? [] : ["B" as const])];
    const headline = `${unmeasured.join(" and ")} ${unmeasured.length === 1 ? "was" : "were"} not measured yet`;
    return { better: "", headline, reasons: ["Measure both to learn which one does better."], unmeasured };
  }
  if (a.environmentId !== b.environmentId)
    return undecided("They drive different robots or tasks, so their returns are of different things.");
  const survival = survivalWords(measuredA, measuredB);
  if (rewardKey(a) !== rewardKey(b)) {
    const reasons = [
      "They were trained for different rewards, so their returns are of different things.",
      survival.words,
    ];
    const headline = survival.better ? `${survival.better} lasts longer` : "No telling by the return";
    return { better: survival.better, headline, reasons, unmeasured: [] };
  }
  return byReturn(measuredA, measuredB, survival);
}

interface Survival {
  readonly better: "" | "A" | "B";
  readonly words: string;
}

function byReturn(a: PolicyMeasurement, b: PolicyMeasurement, survival: Survival): Verdict {
  const [returnsA, returnsB] = [returnsOf(a), returnsOf(b)];
  const difference = b.meanReturn - a.meanReturn;
  const [ahead, behind] = difference > 0 ? (["B", "A"] as const) : (["A", "B"] as const);
  const size = formatReward(Math.abs(difference));
  const verdict = (better: Verdict["better"], headline: string, words: string): Verdict => ({
    better,
    headline,
    reasons: [words, survival.words],
    unmeasured: [],
  });
  if (clearlyAbove(returnsA, returnsB) || clearlyAbove(returnsB, returnsA)) {
    const words = `${ahead} earns ${size} more than ${behind} on average: more than luck makes of such a difference.`;
    return verdict(ahead, `${ahead} is better`, words);
  }
  const headline = survival.better ? `${survival.better} lasts longer` : "Too close to call";
  if (difference === 0) return verdict(survival.better, headline, "Both earn the same return.");
  const few = Math.min(returnsA.count, returnsB.count) < 2;
  const luck = few ? "one episode cannot tell skill from luck" : "luck alone can make such a difference";
  return verdict(
    survival.better,
    headline,
    `${ahead} earned ${size} more, but ${luck}. Measure more episodes to be sure.`,
  );
}

function returnsOf({ episodes, meanReturn, stdReturn }: PolicyMeasurement) {
  return summedUp(episodes, meanReturn, stdReturn);
}

function survivalWords(a: PolicyMeasurement, b: PolicyMeasurement): Survival {
  const [lastsA, lastsB] = [sharesOfMean(a.episodes, a.meanSurvived), sharesOfMean(b.episodes, b.meanSurvived)];
  const better = clearlyAbove(lastsA, lastsB) ? "A" : clearlyAbove(lastsB, lastsA) ? "B" : "";
  const [toldA, toldB] = [formatPercent(a.meanSurvived), formatPercent(b.meanSurvived)];
  const words = toldA === toldB ? `Both last ${toldA} of an episode.` : `A lasts ${toldA} of an episode, B ${toldB}.`;
  return { better, words };
}

function undecided(reason: string): Verdict {
  return { better: "", headline: "They cannot be held against each other", reasons: [reason], unmeasured: [] };
}
