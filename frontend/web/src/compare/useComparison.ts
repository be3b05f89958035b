import { useEffect, useMemo, useRef } from "react";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Environment, SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { Checkpoint } from "../gen/tabrl/trainer/v1/trainer_pb";
import { rewardKey } from "../policies/rewardKey";
import type { Failure } from "../rpc/failure";
import { type Loaded, type Resources, useResource } from "../stores/resource";
import { playable } from "../stores/runRecord";
import { useStore } from "../stores/store";
import { comparedOf } from "./lanes";
import type { SteppedLane } from "./stepScale";

/** One policy of a comparison. */
export interface Lane extends SteppedLane {
  readonly place: number;
  /** What plays: the one before while another of the same run is loaded. */
  readonly policy: Policy | undefined;
  /** Why it cannot be had. */
  readonly failure: Failure | undefined;
  /** It is there, but drives another robot than the first. */
  readonly foreign: boolean;
}

/** Everything that the comparison shows. */
export interface Comparison {
  readonly lanes: readonly Lane[];
  /** Environment that all of them drive; empty while it is not known. */
  readonly environmentId: string;
  readonly environment: Loaded<Environment>;
  /** The environment's scene; where it is not on this machine, the one that a policy brings along. */
  readonly bundle: Loaded<SceneBundle>;
  /** Whether all learned for the same reward, so that their returns compare. */
  readonly alike: boolean;
  /** Writes the policies into the URL. */
  change(ids: readonly string[]): void;
}

export function useComparison(ids: readonly string[]): Comparison {
  const session = useSession();
  const { navigation, runs } = session;
  const loaded = useFour(session.policies, ids);
  const held = useHeld(ids, loaded);
  const records = useStore(runs.records);

  const runIds = [...new Set(held.flatMap((policy) => (policy?.runId ? [policy.runId] : [])))].join();
  useEffect(() => {
    for (const runId of runIds.split(",").filter(Boolean)) runs.follow(runId);
  }, [runs, runIds]);

  // The first one that is there decides; until it is known, the others do not.
  const first = held[ids.findIndex((_, place) => held[place] || !loaded[place]?.failure)];
  const environmentId = first?.environmentId ?? "";
  const environment = useResource(session.environments, environmentId);
  const absent = environment.failure?.reason === "ENVIRONMENT_NOT_FOUND" && !environment.value;
  const own = useResource(session.bundles, environmentId);
  const broughtKey = absent ? (first?.manifest?.sha256 ?? "") : "";
  const brought = useResource(session.policyScenes, broughtKey);

  const lanes = useMemo(
    () =>
      ids.map((policyId, place): Lane => {
        const policy = held[place];
        const foreign = policy !== undefined && policy.environmentId !== environmentId;
        const runId = foreign ? "" : (policy?.runId ?? "");
        const run = records.get(runId)?.run;
        const failure = loaded[place]?.failure;
        const checkpoints: readonly Checkpoint[] = run ? playable(run) : [];
        return { place, policyId, policy, failure, foreign, runId, checkpoints };
      }),
    [ids, held, loaded, records, environmentId],
  );
  const keys = lanes.flatMap(({ policy, foreign }) => (policy && !foreign ? [rewardKey(policy)] : []));

  return {
    lanes,
    environmentId,
    environment,
    bundle: broughtKey ? brought : own,
    alike: new Set(keys).size <= 1,
    change: (next) => navigation.refine({ view: "compare", compared: comparedOf(next) }),
  };
}

/** The resources of up to four keys, in the same array while none of them changes. */
function useFour<T>(resources: Resources<T>, keys: readonly string[]): readonly Loaded<T>[] {
  const first = useResource(resources, keys[0] ?? "");
  const second = useResource(resources, keys[1] ?? "");
  const third = useResource(resources, keys[2] ?? "");
  const fourth = useResource(resources, keys[3] ?? "");
  return useMemo(() => [first, second, third, fourth], [first, second, third, fourth]);
}

/** Each place's policy, or the one that played there until that is loaded, so that no robot stops while the slider moves. */
function useHeld(ids: readonly string[], loaded: readonly Loaded<Policy>[]): readonly (Policy | undefined)[] {
  const before = useRef<readonly (Policy | undefined)[]>([]);
  const next = useMemo(
    () =>
      ids.map((_, place) => {
        const now = loaded[place];
        return now?.value ?? (now?.failure ? undefined : before.current[place]);
      }),
    [ids, loaded],
  );
  useEffect(() => {
    before.current = next;
  }, [next]);
  return next;
}
