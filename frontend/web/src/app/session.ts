import { createContext, createElement, type ReactNode, useContext } from "react";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Model, Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import type { Environment, EnvironmentSummary, RobotDownload, SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Clients } from "../rpc/clients";
import type { Outages } from "../rpc/outage";
import { type ApproachWriter, createApproachWriter } from "../stores/approaches";
import { type Commands, CommandsProvider, createCommands } from "../stores/commands";
import { createDeletions, type Deletions } from "../stores/deletions";
import { createEvaluations, type Evaluations } from "../stores/evaluation";
import { createRewardWriter, type RewardWriter } from "../stores/generation";
import { type HealthMonitor, monitorHealth } from "../stores/health";
import { createImprover, type Improver } from "../stores/improvement";
import { keptForGood } from "../stores/kept";
import { createListings, type Listings } from "../stores/listing";
import { createMenagerie, type Menagerie } from "../stores/menagerie";
import { followOnline } from "../stores/online";
import { createRegistry, type Registry } from "../stores/registry";
import { ALL, createResources, type Resources } from "../stores/resource";
import { createRobots, type Robots } from "../stores/robots";
import { createRobustness, type RobustnessReports } from "../stores/robustness";
import { createRuns, type Runs } from "../stores/runs";
import { type StartingPoint, startingPointsOf } from "../stores/startingPoints";
import type { Store } from "../stores/store";
import { createThemeSwitch, type ThemeSwitch } from "../stores/theme";
import { createUndo, type Undo } from "../stores/undo";
import { createUploader, type Uploader } from "../stores/upload";
import { type Pretrained, pretrainedOf } from "../studio/pretrainedChoice";
import { createTour, type Tour } from "../tour/tour";
import { createNavigation, type Navigation } from "./location";

/** Every environment, and what those miss whose robot is not on this machine. */
export interface Catalogue {
  readonly environments: readonly EnvironmentSummary[];
  readonly robotDownload?: RobotDownload;
}

/** Everything that the page knows and can do; one for each tab. */
export interface Session {
  readonly clients: Clients;
  readonly navigation: Navigation;
  /** All environments, under the key ALL. */
  readonly gallery: Resources<Catalogue>;
  readonly environments: Resources<Environment>;
  readonly bundles: Resources<SceneBundle>;
  /** Scenes that policies bring along, by the digest of the policy's manifest. */
  readonly policyScenes: Resources<SceneBundle>;
  /** Models that write rewards, under the key ALL; the first is the default. */
  readonly models: Resources<readonly Model[]>;
  readonly rewards: Resources<Reward>;
  readonly policies: Resources<Policy>;
  /** Of these environments, their ids with a comma between them, those that have a policy. */
  readonly drivable: Resources<readonly string[]>;
  /** What may drive an environment's robot before anything was trained in this tab, by environment id. */
  readonly pretrained: Resources<readonly Pretrained[]>;
  /** Newest runs by environment id, or all of them under ALL. */
  readonly runLists: Listings<Run>;
  /** Newest policies by environment id, or all of them under ALL. */
  readonly policyLists: Listings<Policy>;
  /** Names that people gave to policies. */
  readonly registry: Registry;
  /** Newest rewards by environment id, or all of them under ALL. */
  readonly rewardLists: Listings<Reward>;
  /** Policies that are worth starting from, by environment id. */
  readonly startingPoints: Resources<readonly StartingPoint[]>;
  readonly runs: Runs;
  readonly writer: RewardWriter;
  readonly approaches: ApproachWriter;
  readonly improver: Improver;
  readonly evaluations: Evaluations;
  /** How well controllers withstand disturbances, measured in this browser. */
  readonly robustness: RobustnessReports;
  readonly robots: Robots;
  readonly menagerie: Menagerie;
  readonly uploader: Uploader;
  readonly health: HealthMonitor;
  /** Whether this device has a network. */
  readonly online: Store<boolean>;
  readonly theme: ThemeSwitch;
  /** Deletions that can still be taken back. */
  readonly undo: Undo;
  /** What can be done at present, for the palette and the keys. */
  readonly commands: Commands;
  readonly tour: Tour;
  /** What was deleted, by what deleted it. */
  readonly deletions: Deletions;
}

/** What a session hears of the services beside their answers. */
export interface Surroundings {
  /** Asks the gateway how the services are. */
  readonly fetchHealth?: (signal: AbortSignal) => Promise<Response>;
  /** Calls that found a service away; each is an occasion to ask. */
  readonly outages?: Outages;
}

const askGateway = (signal: AbortSignal) => fetch("/healthz", { signal, cache: "no-store" });

/** A session over the given clients. */
export function createSession(clients: Clients, { fetchHealth = askGateway, outages }: Surroundings = {}): Session {
  const only = (key: string) => (key === ALL ? "" : key);
  const gallery = createResources(() => allEnvironments(clients));
  const environments = createResources(async (environmentId) =>
    present((await clients.scene.getEnvironment({ environmentId })).environment),
  );
  const bundles = createResources(async (environmentId) =>
    present((await clients.scene.getSceneBundle({ environmentId })).bundle),
  );
  const policyScenes = createResources(
    async (sha256) => (await (await import("../player/manifestScene")).readManifestScene(sha256)).bundle,
  );
  const models = createResources<readonly Model[]>(async () => (await clients.rewards.listModels({})).models);
  const rewards = createResources(async (rewardId) => present((await clients.rewards.getReward({ rewardId })).reward));
  const policies = createResources(async (policyId) =>
    present((await clients.exporter.getPolicy({ policyId })).policy),
  );
  const drivable = createResources(async (key) => {
    const ids = key.split(",");
    const found = await Promise.all(
      ids.map((environmentId) => clients.exporter.listPolicies({ environmentId, pageSize: 1 })),
    );
    return ids.filter((_, index) => (found[index]?.policies.length ?? 0) > 0);
  });
  const pretrained = createResources((environmentId) => pretrainedOf(clients, environmentId));
  const runs = createRuns(clients.trainer);
  const runLists = createListings<Run>(async (key, pageToken) => {
    const listed = await clients.trainer.listRuns({ environmentId: only(key), pageToken });
    const items = listed.runs.filter(({ runId }) => !runs.leaving.has(runId));
    return { items, nextPageToken: listed.nextPageToken };
  });
  const policyLists = createListings<Policy>(async (key, pageToken) => {
    const { policies, nextPageToken } = await clients.exporter.listPolicies({ environmentId: only(key), pageToken });
    return { items: policies, nextPageToken };
  });
  const rewardLists = createListings<Reward>(async (key, pageToken) => {
    const { rewards, nextPageToken } = await clients.rewards.listRewards({ environmentId: only(key), pageToken });
    return { items: rewards, nextPageToken };
  });
  const startingPoints = createResources((environmentId) => startingPointsOf(clients, environmentId));
  const robots = createRobots(clients.scene, () => {
    for (const each of [gallery, menagerie.scenes]) each.reload(ALL);
    for (const each of [environments, bundles]) each.retryFailed({ unlikely: true });
  });
  const menagerie = createMenagerie(clients);
  const registry = createRegistry(clients);
  const undo = createUndo();
  const resources = [
    ...registry.all,
    gallery,
    menagerie.scenes,
    environments,
    bundles,
    policyScenes,
    models,
    rewards,
    policies,
    drivable,
    pretrained,
    runLists,
    policyLists,
    rewardLists,
    startingPoints,
  ];
  const health = monitorHealth(fetchHealth, () => {
    runs.wake();
    for (const each of resources) each.retryFailed();
  });
  outages?.subscribe(() => health.check());
  runs.connection.subscribe(() => {
    if (runs.connection.get()) health.check();
  });
  return {
    clients,
    navigation: createNavigation(),
    gallery,
    environments,
    bundles,
    policyScenes,
    models,
    rewards,
    policies,
    drivable,
    pretrained,
    runLists,
    policyLists,
    registry,
    rewardLists,
    startingPoints,
    runs,
    writer: createRewardWriter(clients.rewards),
    approaches: createApproachWriter(clients.rewards),
    improver: createImprover(clients.rewards),
    evaluations: createEvaluations(clients.inference),
    robustness: createRobustness(
      async (...what) => (await import("../player/robustness")).measureRobustness(...what),
      keptForGood,
    ),
    robots,
    menagerie,
    uploader: createUploader(clients),
    health,
    online: followOnline(() => health.check()),
    theme: createThemeSwitch(),
    commands: createCommands(),
    tour: createTour(),
    undo,
    deletions: createDeletions(undo),
  };
}

async function allEnvironments({ scene }: Clients): Promise<Catalogue> {
  const environments: EnvironmentSummary[] = [];
  let robotDownload: RobotDownload | undefined;
  let pageToken = "";
  do {
    const page = await scene.listEnvironments({ pageToken });
    environments.push(...page.environments);
    robotDownload = page.robotDownload;
    pageToken = page.nextPageToken;
  } while (pageToken);
  return { environments, ...(robotDownload ? { robotDownload } : {}) };
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the answer lacks what was asked for");
  return value;
}

const SessionContext = createContext<Session | undefined>(undefined);

interface SessionProviderProps {
  readonly value: Session;
  readonly children: ReactNode;
}

/** Gives everything inside the session, and what it offers as commands. */
export function SessionProvider({ value, children }: SessionProviderProps) {
  const inside = createElement(CommandsProvider, { value: value.commands }, children);
  return createElement(SessionContext.Provider, { value }, inside);
}

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no session around this component");
  return session;
}
