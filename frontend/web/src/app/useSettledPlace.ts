import { useEffect } from "react";
import type { Failure } from "../rpc/failure";
import { useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { hrefOf, type Place } from "./location";
import { useSession } from "./session";
import { settled } from "./settlement";

/** Follows the place, sets right what does not belong together, and says what is not to be found. */
export function useSettledPlace(): { readonly place: Place; readonly failure: Failure | undefined } {
  const { navigation, policies, rewards, runs } = useSession();
  const place = useStore(navigation.place);
  const policy = useResource(policies, place.policyId);
  const reward = useResource(rewards, place.rewardId);
  const spec = useStore(runs.records).get(place.runId)?.run.spec;
  const runFailures = useStore(runs.failures);
  const runFailure = runFailures.get(place.runId);
  // As long as a policy may still say where this is, the run does not; and the reward only when neither does.
  const policySilent = !place.policyId || policy.failure !== undefined;
  const run = policySilent ? spec : undefined;
  const decided = policy.value !== undefined || run !== undefined;
  const runSilent = !place.runId || runFailure !== undefined;
  // A policy outlives its run, and is shown without it then.
  const runGone = runFailures.get(policy.value?.runId ?? "")?.reason === "RUN_NOT_FOUND";
  const next = settled(place, {
    ...(policy.value ? { policy: runGone ? { ...policy.value, runId: "" } : policy.value } : {}),
    ...(run ? { run } : {}),
    ...(reward.value && (decided || (policySilent && runSilent)) ? { reward: reward.value } : {}),
  });

  useEffect(() => {
    if (place.runId) runs.follow(place.runId);
  }, [runs, place.runId]);

  const [here, there] = [hrefOf(place), hrefOf(next)];
  // biome-ignore lint/correctness/useExhaustiveDependencies: the addresses stand for the places
  useEffect(() => {
    if (here !== there) navigation.refine(next);
  }, [navigation, here, there]);

  return { place, failure: policy.failure ?? runFailure ?? reward.failure };
}
