import type { Place } from "./location";

/** What is known by now of the things that a place names; each absent until it is loaded, or when there is no such thing. */
export interface Known {
  readonly policy?: { readonly environmentId: string; readonly runId: string };
  readonly run?: { readonly environmentId: string };
  readonly reward?: { readonly environmentId: string };
}

/**
 * The place with everything in it belonging together, for links that mix what does not: a policy brings its run along, and a
 * run its environment; a reward for another environment yields to both, and brings its own along when it is alone.
 */
export function settled(place: Place, { policy, run, reward }: Known): Place {
  let next = place;
  if (policy) next = { ...next, environmentId: policy.environmentId, runId: policy.runId };
  // What is known of the run is of the one that the place named.
  else if (run) next = { ...next, environmentId: run.environmentId };
  if (reward && reward.environmentId !== next.environmentId) {
    const decided = policy || run;
    next = decided ? { ...next, rewardId: "" } : { ...next, environmentId: reward.environmentId };
  }
  return next;
}
