import { useEffect, useMemo, useState } from "react";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Environment, SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { Checkpoint } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Failure } from "../rpc/failure";
import { type Loaded, useResource } from "../stores/resource";
import { hasEnded, playable, type RunRecord } from "../stores/runRecord";
import { useStore } from "../stores/store";

/** What the robot is to be trained for: a reward, or the task that the environment sets itself. */
export type Goal =
  | { readonly kind: "none" }
  | { readonly kind: "own" }
  | { readonly kind: "reward"; readonly reward: Reward };

/** Everything that the studio of one environment shows. */
export interface StudioState {
  readonly environmentId: string;
  readonly environment: Loaded<Environment>;
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
  /** Policy that is to drive the robot; empty for none. */
  readonly policyId: string;
  readonly policy: Loaded<Policy>;
  /** Whether the newest policy of the run takes over by itself. */
  readonly following: boolean;
  /** Terms in the order in which they are shown and coloured. */
  readonly termNames: readonly string[];
  chooseOwnReward(): void;
  adoptReward(reward: Reward): void;
  setWeight(term: string, weight: number): void;
  openRun(runId: string): void;
  /** Plays one policy; an empty id follows the newest. */
  play(policyId: string): void;
}

interface ChangedWeights {
  readonly rewardId: string;
  readonly weights: Readonly<Record<string, number>>;
}

export function useStudio(environmentId: string): StudioState {
  const session = useSession();
  const { navigation, runs, rewards, policies, policyLists, runLists } = session;
  const place = useStore(navigation.place);
  const environment = useResource(session.environments, environmentId);
  const bundle = useResource(session.bundles, environmentId);
  const reward = useResource(rewards, place.rewardId);
  const run = useStore(runs.records).get(place.runId);
  const runFailure = useStore(runs.failures).get(place.runId);
  const [ownChosen, setOwnChosen] = useState(false);
  const [changed, setChanged] = useState<ChangedWeights>({ rewardId: "", weights: {} });

  useEffect(() => {
    if (place.runId) runs.follow(place.runId);
  }, [runs, place.runId]);

  // A link to a run or a policy brings its reward and run along.
  const spec = run?.run.spec;
  const ownRun = spec !== undefined && !spec.reward;
  useEffect(() => {
    if (spec?.reward?.rewardId && !place.rewardId) navigation.refine({ rewardId: spec.reward.rewardId });
  }, [navigation, spec, place.rewardId]);

  const checkpoints = useMemo(() => (run ? playable(run.run) : []), [run]);
  const newest = checkpoints.at(-1)?.policyId ?? "";
  const policyId = place.policyId || newest;
  const shownPolicy = useResource(policies, policyId);
  const policy = useHeldPolicy(shownPolicy, policyId !== "");
  useEffect(() => {
    if (shownPolicy.value?.runId && !place.runId) navigation.refine({ runId: shownPolicy.value.runId });
  }, [navigation, shownPolicy.value, place.runId]);

  // What was trained meanwhile belongs in the lists of earlier work.
  const ended = run ? hasEnded(run.run.state) : false;
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
    const trained = spec?.reward?.rewardId === goal.reward.rewardId ? spec.reward.weights : {};
    const own = Object.fromEntries(goal.reward.terms.map(({ name, weight }) => [name, weight]));
    return { ...own, ...trained, ...(changed.rewardId === goal.reward.rewardId ? changed.weights : {}) };
  }, [goal, spec, changed]);

  const runTerms = run?.history.at(-1)?.termReturns ?? run?.run.metrics?.termReturns;
  const termNames = useMemo(() => {
    if (goal.kind === "reward") return goal.reward.terms.map(({ name }) => name);
    return Object.keys(runTerms ?? {}).sort();
  }, [goal, runTerms]);

  return {
    environmentId,
    environment,
    bundle,
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
    following: !place.policyId,
    termNames,
    chooseOwnReward() {
      setOwnChosen(true);
      navigation.refine({ rewardId: "" });
    },
    adoptReward(made) {
      rewards.put(made.rewardId, made);
      setOwnChosen(false);
      navigation.refine({ rewardId: made.rewardId });
    },
    setWeight: (term, weight) =>
      setChanged(({ rewardId, weights: before }) => ({
        rewardId: place.rewardId,
        weights: { ...(rewardId === place.rewardId ? before : {}), [term]: weight },
      })),
    openRun: (runId) => navigation.refine({ runId, policyId: "" }),
    play: (chosen) => navigation.refine({ policyId: chosen }),
  };
}

/** Keeps the policy that drives until the next one is there, so that the robot is never without one in between. */
function useHeldPolicy(shown: Loaded<Policy>, wanted: boolean): Loaded<Policy> {
  const [held, setHeld] = useState<Policy>();
  useEffect(() => {
    if (shown.value || !wanted) setHeld(shown.value);
  }, [shown.value, wanted]);
  const value = shown.value ?? (wanted ? held : undefined);
  return value ? { ...shown, value } : shown;
}
