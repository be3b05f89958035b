import { createContext, useContext } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Model, Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Environment, EnvironmentSummary, SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Clients } from "../rpc/clients";
import { createEvaluations, type Evaluations } from "../stores/evaluation";
import { createRewardWriter, type RewardWriter } from "../stores/generation";
import { type HealthMonitor, monitorHealth } from "../stores/health";
import { createResources, type Resources } from "../stores/resource";
import { createRuns, type Runs } from "../stores/runs";
import { createNavigation, type Navigation } from "./location";

/** Key of resources of which there is one. */
export const ALL = "all";

/** Everything that the page knows and can do; one for each tab. */
export interface Session {
  readonly clients: Clients;
  readonly navigation: Navigation;
  /** All environments, under the key ALL. */
  readonly gallery: Resources<readonly EnvironmentSummary[]>;
  readonly environments: Resources<Environment>;
  readonly bundles: Resources<SceneBundle>;
  /** Models that write rewards, under the key ALL; the first is the default. */
  readonly models: Resources<readonly Model[]>;
  readonly rewards: Resources<Reward>;
  readonly policies: Resources<Policy>;
  /** Newest runs by environment id, or all of them under ALL. */
  readonly runLists: Resources<readonly Run[]>;
  /** Newest policies by environment id, or all of them under ALL. */
  readonly policyLists: Resources<readonly Policy[]>;
  readonly runs: Runs;
  readonly writer: RewardWriter;
  readonly evaluations: Evaluations;
  readonly health: HealthMonitor;
}

/** A session over the given clients. */
export function createSession(
  clients: Clients,
  fetchHealth: (signal: AbortSignal) => Promise<Response> = (signal) =>
    fetch("/healthz", { signal, cache: "no-store" }),
): Session {
  const only = (key: string) => (key === ALL ? "" : key);
  const gallery = createResources(() => allEnvironments(clients));
  const environments = createResources(async (environmentId) =>
    present((await clients.scene.getEnvironment({ environmentId })).environment),
  );
  const bundles = createResources(async (environmentId) =>
    present((await clients.scene.getSceneBundle({ environmentId })).bundle),
  );
  const models = createResources<readonly Model[]>(async () => (await clients.rewards.listModels({})).models);
  const rewards = createResources(async (rewardId) => present((await clients.rewards.getReward({ rewardId })).reward));
  const policies = createResources(async (policyId) =>
    present((await clients.exporter.getPolicy({ policyId })).policy),
  );
  const runLists = createResources<readonly Run[]>(
    async (key) => (await clients.trainer.listRuns({ environmentId: only(key) })).runs,
  );
  const policyLists = createResources<readonly Policy[]>(
    async (key) => (await clients.exporter.listPolicies({ environmentId: only(key) })).policies,
  );
  const runs = createRuns(clients.trainer);
  const resources = [gallery, environments, bundles, models, rewards, policies, runLists, policyLists];
  const health = monitorHealth(fetchHealth, () => {
    runs.wake();
    for (const each of resources) each.retryFailed();
  });
  runs.connection.subscribe(() => {
    if (runs.connection.get()) health.check();
  });
  return {
    clients,
    navigation: createNavigation(),
    gallery,
    environments,
    bundles,
    models,
    rewards,
    policies,
    runLists,
    policyLists,
    runs,
    writer: createRewardWriter(clients.rewards),
    evaluations: createEvaluations(clients.inference),
    health,
  };
}

async function allEnvironments({ scene }: Clients): Promise<readonly EnvironmentSummary[]> {
  const environments: EnvironmentSummary[] = [];
  let pageToken = "";
  do {
    const page = await scene.listEnvironments({ pageToken });
    environments.push(...page.environments);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return environments;
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the answer lacks what was asked for");
  return value;
}

const SessionContext = createContext<Session | undefined>(undefined);
export const SessionProvider = SessionContext.Provider;

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no session around this component");
  return session;
}
