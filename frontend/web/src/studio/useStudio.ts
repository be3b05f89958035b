import { useEffect, useMemo, useState } from "react";
import type { Place } from "../app/location";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Environment, SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { Checkpoint } from "../gen/tabrl/trainer/v1/trainer_pb";
import { type ReturnScale, returnScale } from "../policies/episodeReturn";
import type { Failure } from "../rpc/failure";
import { type Loaded, useResource } from "../stores/resource";
import { bestOf, hasEnded, playable, type RunRecord } from "../stores/runRecord";
import { useStore } from "../stores/store";
import { useChangedWeights } from "./changedWeights";
import { type PretrainedState, usePretrained } from "./pretrained";

/** What the robot is to be trained for: a reward, or the task that the environment sets itself. */
export type Goal =
  | { readonly kind: "none" }
  | { readonly kind: "own" }
  | { readonly kind: "reward"; readonly reward: Reward };

/** Everything that the studio of one environment shows. */
export interface StudioState {
  readonly environmentId: string;
  readonly environment: Loaded<Environment>;
  /** This installation does not have the environment; a policy that was imported plays all the same. */
  readonly environmentAbsent: boolean;
  /** The environment's scene; where the environment is absent, the one that the policy brings along. */
  readonly bundle: Loaded<SceneBundle>;
  readonly rewardId: string;
  readonly reward: Loaded<Reward>;
  readonly goal: Goal;
  readonly weights: Readonly<Record<string, number>>;
  readonly run: RunRecord | undefined;
  readonly runFailure: Failure | undefined;
  readonly running: boolean;
  /** Checkpoints whose policy can be played, oldest first. */
  readonly checkpoints: readonly Checkpoint[];
  /** What the returns of the run are sums of. */
  readonly scale: ReturnScale;
  /** Policy that is to drive the robot; empty for none. */
  readonly policyId: string;
  readonly policy: Loaded<Policy>;
  /** The best policy of the run; empty while it trains. */
  readonly bestPolicyId: string;
  /** Whether the page chooses the policy: the newest while the run trains, then the best. */
  readonly following: boolean;
  /** What drives before the person has a policy of their own; no part of the steps. */
  readonly pretrained: PretrainedState;
  /** Terms in the order in which they are shown and coloured. */
  readonly termNames: readonly string[];
  chooseOwnReward(): void;
  /** Leaves out a reward that is not to be had. */
  goOnWithoutReward(): void;
  adoptReward(reward: Reward): void;
  setWeight(term: string, weight: number): void;
  openRun(runId: string): void;
  /** Plays one policy; an empty id leaves the choice to the page. */
  play(policyId: string): void;
}

export function useStudio(environmentId: string): StudioState {
  const session = useSession();
  const { navigation, runs, rewards, policies, policyLists, runLists } = session;
  const place = useStore(navigation.place);
  const environment = useResource(session.environments, environmentId);
  const environmentAbsent = environment.failure?.reason === "ENVIRONMENT_NOT_FOUND" && !environment.value;
  const ownBundle = useResource(session.bundles, environmentId);
  const reward = ownOf(useResource(rewards, place.rewardId), environmentId);
  const record = useStore(runs.records).get(place.runId);
  // A run of another environment is about to take the page there.
  const run = record?.run.spec?.environmentId === environmentId ? record : undefined;
  const runFailure = useStore(runs.failures).get(place.runId);
  const [ownChosen, setOwnChosen] = useState(false);
  // Which run, or policy without one, was shown when its reward was put aside; nothing where none was.
  const [putAsideAt, setPutAsideAt] = useState<string>();

  // A link to a run brings its reward along, unless the person has put that aside; so does one to a policy whose run is gone.
  const spec = run?.run.spec;
  const linked = ownOf(useResource(policies, place.policyId), environmentId).value;
  // What an imported one says of its reward is of where it comes from.
  const orphan = place.runId || linked?.imported ? undefined : linked;
  const trainedFor = spec?.reward ?? orphan?.reward;
  const trained = trainedFor && trainedFor.rewardId === place.rewardId ? trainedFor.weights : undefined;
  const changed = useChangedWeights(place.rewardId, trained);
  const ownRun = spec !== undefined && !spec.reward;
  const shownAt = place.runId || place.policyId;
  const putAside = putAsideAt === shownAt;
  const broughtRewardId = trainedFor?.rewardId;
  useEffect(() => {
    if (broughtRewardId && !place.rewardId && !putAside) navigation.refine({ rewardId: broughtRewardId });
  }, [navigation, broughtRewardId, place.rewardId, putAside]);

  const checkpoints = useMemo(() => (run ? playable(run.run) : []), [run]);
  const ended = run ? hasEnded(run.run.state) : false;
  const newest = checkpoints.at(-1)?.policyId ?? "";
  const bestPolicyId = ended ? (bestOf(checkpoints)?.policyId ?? "") : "";
  const policyId = place.policyId || bestPolicyId || newest;
  const shownPolicy = ownOf(useResource(policies, policyId), environmentId);
  const policy = useHeldPolicy(shownPolicy, policyId !== "");
  const pretrained = usePretrained(environmentId, place.rewardId, !place.runId && !place.policyId);
  const broughtKey = environmentAbsent ? (policy.value?.manifest?.sha256 ?? "") : "";
  const brought = useResource(session.policyScenes, broughtKey);
  const scale = useMemo(() => returnScale(environment.value, spec), [environment.value, spec]);

  // What was trained meanwhile belongs in the lists of earlier work.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new run, its end and each new policy are what triggers it
  useEffect(() => {
    if (!place.runId) return;
    runLists.reload(environmentId);
    policyLists.reload(environmentId);
  }, [runLists, policyLists, environmentId, place.runId, ended, newest]);

  const goal: Goal = useMemo(() => {
    if (place.rewardId) return reward.value ? { kind: "reward", reward: reward.value } : { kind: "none" };
    return ownChosen || ownRun ? { kind: "own" } : { kind: "none" };
  }, [place.rewardId, reward.value, ownChosen, ownRun]);

  const weights = useMemo(() => {
    if (goal.kind !== "reward") return {};
    const own = Object.fromEntries(goal.reward.terms.map(({ name, weight }) => [name, weight]));
    return { ...own, ...(goal.reward.rewardId === place.rewardId ? { ...trained, ...changed.weights } : {}) };
  }, [goal, trained, changed.weights, place.rewardId]);

  const runTerms = run?.history.at(-1)?.termReturns ?? run?.run.metrics?.termReturns;
  const termNames = useMemo(() => {
    if (goal.kind === "reward") return goal.reward.terms.map(({ name }) => name);
    return Object.keys(runTerms ?? {}).sort();
  }, [goal, runTerms]);

  // A reward or a run may come when the person is somewhere else by now; it does not take them there.
  function ifStillHere(move: (change: Partial<Place>) => void, change: Partial<Place>): void {
    const now = navigation.place.get();
    if (now.view === "" && now.environmentId === environmentId) move(change);
  }

  return {
    environmentId,
    environment,
    environmentAbsent,
    bundle: broughtKey ? brought : ownBundle,
    rewardId: place.rewardId,
    reward,
    goal,
    weights,
    run,
    runFailure,
    running: run !== undefined && !hasEnded(run.run.state),
    checkpoints,
    policyId,
    policy,
    scale,
    bestPolicyId,
    following: !place.policyId,
    pretrained,
    termNames,
    chooseOwnReward() {
      setOwnChosen(true);
      setPutAsideAt(shownAt);
      ifStillHere(navigation.goOn, { rewardId: "" });
    },
    goOnWithoutReward() {
      setPutAsideAt(shownAt);
      ifStillHere(navigation.refine, { rewardId: "" });
    },
    adoptReward(made) {
      rewards.put(made.rewardId, made);
      setOwnChosen(false);
      setPutAsideAt(undefined);
      ifStillHere(navigation.goOn, { rewardId: made.rewardId });
    },
    setWeight: changed.set,
    openRun(runId) {
      const started = runs.records.get().get(runId)?.run.spec?.reward;
      if (started?.rewardId === place.rewardId) changed.started(started.weights);
      ifStillHere(navigation.goOn, { runId, policyId: "" });
    },
    play: (chosen) => ifStillHere(navigation.refine, { policyId: chosen }),
  };
}

/** What is loaded if it is for this environment; nothing yet if not. */
function ownOf<T extends { readonly environmentId: string }>(loaded: Loaded<T>, environmentId: string): Loaded<T> {
  const foreign = loaded.value !== undefined && loaded.value.environmentId !== environmentId;
  return foreign ? NOT_YET : loaded;
}

const NOT_YET: Loaded<never> = { loading: true };

/** Keeps the policy that drives until the next one is there, so that the robot is never without one in between. */
function useHeldPolicy(shown: Loaded<Policy>, wanted: boolean): Loaded<Policy> {
  const [held, setHeld] = useState<Policy>();
  useEffect(() => {
    if (shown.value || !wanted) setHeld(shown.value);
  }, [shown.value, wanted]);
  const value = shown.value ?? (wanted ? held : undefined);
  return value ? { ...shown, value } : shown;
}
