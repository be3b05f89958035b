import { formatDuration, formatReward } from "../format/format";
import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import type { RunSpec } from "../gen/tabrl/trainer/v1/trainer_pb";

/** What the returns of a run are sums of, and how large they can be. */
export interface ReturnScale {
  /** Control steps of a whole episode; 0 while that is not known. */
  readonly episodeSteps: number;
  /** Duration of a whole episode in seconds; 0 while that is not known. */
  readonly episodeSecs: number;
  /** Largest return an episode can have; undefined where nothing bounds it. */
  readonly most?: number;
}

// Their tasks pay from 0 to 1 a step (Tassa et al. 2018, DeepMind Control Suite, section 3); what a person writes may pay anything.
const PAYS_AT_MOST_ONE = "dm_control_suite";

/** The scale of the returns of a run in its environment. */
export function returnScale(
  environment: Environment | undefined,
  spec: Pick<RunSpec, "reward"> | undefined,
): ReturnScale {
  const episodeSteps = environment?.timing?.episodeLength ?? 0;
  const episodeSecs = episodeSteps * (environment?.timing?.controlPeriodSecs ?? 0);
  const bounded = spec && !spec.reward && environment?.summary?.category === PAYS_AT_MOST_ONE && episodeSteps > 0;
  return { episodeSteps, episodeSecs, ...(bounded ? { most: episodeSteps } : {}) };
}

/** A return with the most there can be: `812 of 1000`, or `812` alone where nothing bounds it. */
export function returnOf(value: number, { most }: ReturnScale): string {
  return most === undefined ? formatReward(value) : `${formatReward(value)} of ${formatReward(most)}`;
}

/** What a return is, in words. */
export function whatReturnIs({ episodeSteps, episodeSecs, most }: ReturnScale): string {
  if (episodeSteps === 0) return "the reward of an episode, summed up";
  const length = `${episodeSteps.toLocaleString("en")} steps${episodeSecs > 0 ? ` (${formatDuration(episodeSecs)})` : ""}`;
  const bound = most === undefined ? "" : `, at most ${most.toLocaleString("en")}`;
  return `the reward of an episode, summed over up to ${length}${bound}`;
}
