import { rewardKey } from "../compare/laneName";
import { formatPercent, formatReward } from "../format/format";
import type { Policy, PolicyMeasurement } from "../gen/tabrl/exporter/v1/exporter_pb";

/** Which of two policies does better, in words, and how sure that is. */
export interface Verdict {
  /** Empty where neither is better, or that cannot be told. */
  readonly better: "" | "A" | "B";
  readonly headline: string;
  readonly reasons: readonly string[];
  /** Whose measurement is missing. */
  readonly unmeasured: readonly ("A" | "B")[];
}

/** A difference of survival below this is not worth a word. */
const LEAST_SURVIVAL = 0.01;

/** By how many of its standard deviations a difference stands clear of chance. */
const CLEARLY = 2;

/** What a policy measured last on this machine. */
export function newestMeasurement(policy: Policy | undefined): PolicyMeasurement | undefined {
  return policy?.measurements[0];
}

/**
 * Compares two policies by what was measured of them last. The difference of the mean returns is held against its own standard
 * deviation, √(s_A²/n_A + s_B²/n_B): what chance alone makes of two means over so few episodes.
 */
export function verdictOf(a: Policy, b: Policy): Verdict {
  const [measuredA, measuredB] = [newestMeasurement(a), newestMeasurement(b)];
  if (!measuredA || !measuredB) {
    const unmeasured = [...(measuredA ? [] : ["A" as const]), ...(measuredB ? [] : ["B" as const])];
    const headline = `${unmeasured.join(" and ")} ${unmeasured.length === 1 ? "was" : "were"} not measured yet`;
    return { better: "", headline, reasons: ["Measure both to learn which one does better."], unmeasured };
  }
  if (a.environmentId !== b.environmentId)
    return undecided("They drive different robots, so their returns are of different things.");
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
  const difference = b.meanReturn - a.meanReturn;
  const ahead = difference > 0 ? "B" : "A";
  const behind = difference > 0 ? "A" : "B";
  const chance = deviationOfDifference(a, b);
  const size = formatReward(Math.abs(difference));
  const verdict = (better: Verdict["better"], headline: string, words: string): Verdict => ({
    better,
    headline,
    reasons: [words, survival.words],
    unmeasured: [],
  });
  if (difference === 0) return verdict(survival.better, sameReturn(survival), "Both earn the same return.");
  if (chance === undefined) {
    const words = `${ahead} earned ${size} more, but one episode each cannot tell skill from luck. Measure more episodes.`;
    return verdict("", "Not sure yet", words);
  }
  const give = formatReward(chance);
  const apart = Math.abs(difference);
  if (apart <= chance) {
    const words = `${ahead} earned ${size} more, but chance alone moves such a difference by ${give} (its standard deviation). Measure more episodes to be sure.`;
    return verdict("", "About the same", words);
  }
  const clear = apart > CLEARLY * chance;
  const rest = clear ? "" : ", though by less than twice as much: measure more episodes to be sure";
  const words = `${ahead} earns ${size} more than ${behind} on average: more than chance alone moves such a difference (its standard deviation is ${give})${rest}.`;
  return verdict(ahead, clear ? `${ahead} is better` : `${ahead} is probably better`, words);
}

function sameReturn({ better }: Survival): string {
  return better ? `${better} lasts longer` : "They do equally well";
}

function survivalWords(a: PolicyMeasurement, b: PolicyMeasurement): Survival {
  const difference = b.meanSurvived - a.meanSurvived;
  if (Math.abs(difference) < LEAST_SURVIVAL)
    return { better: "", words: `Both last ${formatPercent(b.meanSurvived)} of an episode.` };
  const told = `A lasts ${formatPercent(a.meanSurvived)} of an episode, B ${formatPercent(b.meanSurvived)}.`;
  return { better: difference > 0 ? "B" : "A", words: told };
}

/** Standard deviation of the difference of two mean returns; undefined where too few episodes were played to know it. */
function deviationOfDifference(a: PolicyMeasurement, b: PolicyMeasurement): number | undefined {
  if (a.episodes < 2 || b.episodes < 2) return undefined;
  return Math.sqrt(a.stdReturn ** 2 / a.episodes + b.stdReturn ** 2 / b.episodes);
}

function undecided(reason: string): Verdict {
  return { better: "", headline: "They cannot be held against each other", reasons: [reason], unmeasured: [] };
}
