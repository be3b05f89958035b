import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { ExporterService, ExportFormat, type Policy, PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { SharingService } from "../gen/tabrl/exporter/v1/sharing_pb";
import { InferenceService } from "../gen/tabrl/inference/v1/inference_pb";
import {
  GenerationPhase,
  type ModelSchema,
  type Reward,
  RewardOrigin,
  RewardSchema,
  RewardService,
} from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import {
  EnvironmentSchema,
  EnvironmentSummarySchema,
  RobotInstallationStage,
  SceneBundleSchema,
  SceneService,
} from "../gen/tabrl/scene/v1/scene_pb";
import {
  Executor,
  type Run,
  type RunEvent,
  RunEventSchema,
  RunSchema,
  RunState,
  TrainerService,
  type TrainingSettings,
  TrainingSettingsSchema,
  type WatchRunsRequest,
} from "../gen/tabrl/trainer/v1/trainer_pb";
import { pause } from "../rpc/reliability";
import { serveRegistry } from "./registryBackend";

/**
 * The services over their real contracts, in memory, for tests and for work on the page without a gateway. A run is a list of
 * events that the test (or the script of `dev/`) appends; everything else follows from the contracts.
 */
export interface Backend {
  readonly transport: Transport;
  /** Appends to a run what happened and tells all who watch. */
  append(runId: string, event: MessageInitShape<typeof RunEventSchema>["event"]): void;
  /** Breaks all open watches as a gateway does whose service died. */
  breakWatches(): void;
  /** Ends all open watches without an error, whatever they still follow. */
  endWatches(): void;
  /** Until it is called off, calls of this service fail with UNAVAILABLE. */
  setDown(service: ServiceKey, down: boolean): void;
  /** The history of a run before its newest event is no longer kept: a watch that goes on from a revision is told to start over, once. */
  expire(runId: string): void;
  putPolicy(policy: MessageInitShape<typeof PolicySchema>): void;
  /** Requests of WatchRuns so far, in order, and how many of them are open. */
  readonly watches: { readonly requests: WatchRunsRequest[]; open: number };
  readonly runs: Map<string, Run>;
  readonly rewards: Map<string, Reward>;
}

export type ServiceKey = "scene" | "rewardgen" | "trainer" | "exporter" | "inference";

/** An error as the services give it. */
export function typedError(
  code: Code,
  reason: string,
  message: string,
  fields: readonly (readonly [field: string, description: string])[] = [],
  metadata: Record<string, string> = {},
): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: "tabrl.dev", metadata } }];
  const fieldViolations = fields.map(([field, description]) => ({ field, description }));
  return new ConnectError(message, code, undefined, [
    ...details,
    ...(fields.length > 0 ? [{ desc: BadRequestSchema, value: { fieldViolations } }] : []),
  ]);
}

function withSteps(settings: TrainingSettings | undefined, envSteps: bigint): TrainingSettings {
  return { ...(settings ?? create(TrainingSettingsSchema)), envSteps };
}

export const SOURCE = `def reward(state, action):
    pole = state.body("pole_1")
    upright = (pole.up[2] + 1) / 2
    cart = state.joint("slider").position
    return {
        "upright": upright,
        "centred": jnp.exp(-4.0 * cart**2),
        "effort": -0.05 * jnp.sum(action**2),
    }
`;

const ENVIRONMENTS = [
  {
    id: "CartpoleBalance",
    title: "Cartpole · Balance",
    robot: "Cartpole",
    task: "Keep the pole upright by moving the cart.",
    nu: 1,
  },
  { id: "CheetahRun", title: "Cheetah · Run", robot: "Cheetah", task: "Run forward as fast as possible.", nu: 6 },
  { id: "WalkerStand", title: "Walker · Stand", robot: "Walker", task: "Stand upright on two legs.", nu: 6 },
  { id: "WalkerWalk", title: "Walker · Walk", robot: "Walker", task: "Walk forward at one metre per second.", nu: 6 },
].map(({ id, title, robot, task, nu }) =>
  create(EnvironmentSummarySchema, {
    environmentId: id,
    category: "dm_control_suite",
    title,
    robot,
    description: task,
    actuatorCount: nu,
    dofCount: nu + 1,
    examplePrompts: [
      "keep the pole upright while swaying gently",
      "stand still in the middle",
      "swing the pole around",
    ],
  }),
);

const GO1 = create(EnvironmentSummarySchema, {
  environmentId: "Go1JoystickFlatTerrain",
  category: "locomotion",
  title: "Go1 · Joystick, flat ground",
  robot: "Go1",
  description: "Trot at the speed and turning rate that a joystick commands.",
  actuatorCount: 12,
});
const DOWNLOAD_BYTES = 180_168_576n;

export interface BackendOptions {
  /** Time between the signs of progress of slow calls. */
  readonly stepMs?: number;
  readonly models?: readonly MessageInitShape<typeof ModelSchema>[];
  /** Adds an environment whose robot is not there until it is installed. */
  readonly robotMissing?: boolean;
}

const LIBRARY_MODEL = { name: "library", title: "Built-in library", description: "Needs no LLM." };

/** Page of a list as the contracts have it: the token is the place where it goes on. */
function page<T>(all: readonly T[], pageSize: number, pageToken: string): { items: T[]; nextPageToken: string } {
  const start = Number(pageToken);
  const end = start + (pageSize || 50);
  return { items: all.slice(start, end), nextPageToken: end < all.length ? String(end) : "" };
}

export function createBackend(options: BackendOptions = {}): Backend {
  const { stepMs = 0, models = [LIBRARY_MODEL] } = options;
  let { robotMissing } = options;
  const runs = new Map<string, Run>();
  const events = new Map<string, RunEvent[]>();
  const rewards = new Map<string, Reward>();
  const policies = new Map<string, Policy>();
  const down = new Set<ServiceKey>();
  const expired = new Set<string>();
  let imported = 0n;
  const watches = { requests: [] as WatchRunsRequest[], open: 0 };
  let ended = Promise.withResolvers<"ended">();
  let changed = Promise.withResolvers<void>();
  let broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);

  const guard = (service: ServiceKey) => {
    if (down.has(service)) throw new ConnectError("no healthy upstream", Code.Unavailable);
  };
  const found = <T>(value: T | undefined, reason: string, what: string): T => {
    if (value === undefined) throw typedError(Code.NotFound, reason, `there is no such ${what}`);
    return value;
  };
  const seal = (
    environmentId: string,
    prompt: string,
    source: string,
    origin: RewardOrigin,
    model = "library",
  ): Reward => {
    const reward = create(RewardSchema, {
      rewardId: `reward-${rewards.size + 1}`,
      environmentId,
      prompt,
      origin,
      model: origin === RewardOrigin.PERSON ? "" : model,
      source,
      terms: [
        { name: "upright", weight: 1, explanation: "Highest when the pole points straight up.", line: 6 },
        { name: "centred", weight: 0.5, explanation: "Highest with the cart in the middle of the rail.", line: 7 },
        { name: "effort", weight: 1, explanation: "A small price for strong pushes.", line: 8 },
      ],
      explanation: "The pole is to stay upright near the middle of the rail, without wasting force.",
      leftOut: prompt.includes("swaying") ? ["swaying gently"] : [],
      program: { sha256: "a".repeat(64) },
      onnx: { sha256: "b".repeat(64) },
      createTime: timestampNow(),
    });
    rewards.set(reward.rewardId, reward);
    return reward;
  };

  const transport = createRouterTransport((router) => {
    const { service } = router;
    const referencesOf = serveRegistry(router, { policies, guard: () => guard("exporter") });
    service(SceneService, {
      listEnvironments: () => {
        guard("scene");
        const robot = robotMissing === undefined ? [] : [{ ...GO1, robotMissing }];
        const environments = [...ENVIRONMENTS, ...robot];
        const robotDownload = robotMissing ? { robotDownload: { downloadBytes: DOWNLOAD_BYTES } } : {};
        return { environments, totalSize: environments.length, ...robotDownload };
      },
      getEnvironment: ({ environmentId }) => {
        guard("scene");
        const summary = [...ENVIRONMENTS, GO1].find((each) => each.environmentId === environmentId);
        if (summary === GO1 && robotMissing) {
          const metadata = { robot: "unitree_go1", download_bytes: String(DOWNLOAD_BYTES) };
          throw typedError(Code.FailedPrecondition, "ROBOT_NOT_INSTALLED", "the robot is not installed", [], metadata);
        }
        if (!summary) {
          const metadata = { environment_id: environmentId, nearest: "CartpoleBalance" };
          throw typedError(Code.NotFound, "ENVIRONMENT_NOT_FOUND", `no environment ${environmentId}`, [], metadata);
        }
        const timing = {
          controlPeriodSecs: 0.01,
          physicsTimestepSecs: 0.01,
          physicsStepsPerControl: 1,
          episodeLength: 1000,
        };
        return { environment: create(EnvironmentSchema, { summary, timing, commandSize: summary === GO1 ? 3 : 0 }) };
      },
      getSceneBundle: ({ environmentId }) => {
        guard("scene");
        if (![...ENVIRONMENTS, GO1].some((each) => each.environmentId === environmentId)) {
          throw typedError(Code.NotFound, "ENVIRONMENT_NOT_FOUND", `no environment ${environmentId}`);
        }
        return { bundle: create(SceneBundleSchema, { environmentId, xml: { sha256: "c".repeat(64) } }) };
      },
      async *installRobots({ acceptedDownloadBytes }) {
        guard("scene");
        if (acceptedDownloadBytes !== DOWNLOAD_BYTES) {
          const field = "accepted_download_bytes";
          throw typedError(Code.InvalidArgument, "INVALID_FIELD", "another size", [[field, "another size"]]);
        }
        const downloadBytes = DOWNLOAD_BYTES;
        yield {
          stage: RobotInstallationStage.DOWNLOADING,
          downloadedBytes: 90_000_000n,
          downloadBytes,
          message: "half",
        };
        await pause(stepMs);
        robotMissing = false;
        yield { stage: RobotInstallationStage.READY, downloadedBytes: downloadBytes, downloadBytes, message: "ready" };
      },
    });
    service(RewardService, {
      listModels: () => {
        guard("rewardgen");
        return { models: [...models] };
      },
      async *generateReward({ environmentId, prompt, model }) {
        guard("rewardgen");
        if (prompt.includes("juggle")) {
          const metadata = { nearest: "balance" };
          throw typedError(
            Code.FailedPrecondition,
            "BEHAVIOUR_UNKNOWN",
            "the library does not know this behaviour",
            [],
            metadata,
          );
        }
        const stage = (phase: GenerationPhase, message: string) => ({
          event: { case: "stage" as const, value: { phase, message } },
        });
        yield stage(GenerationPhase.READING_ROBOT, "reading the robot");
        await pause(stepMs);
        yield stage(GenerationPhase.WRITING, "choosing from the library");
        for (const line of SOURCE.match(/.*\n/g) ?? []) {
          yield { event: { case: "sourceDelta" as const, value: line } };
          await pause(stepMs / 4);
        }
        yield stage(GenerationPhase.CHECKING, "checking the source");
        await pause(stepMs);
        yield stage(GenerationPhase.SEALING, "tracing in the jail");
        await pause(stepMs);
        const origin = model === "library" || model === "" ? RewardOrigin.LIBRARY : RewardOrigin.LLM;
        yield { event: { case: "reward" as const, value: seal(environmentId, prompt, SOURCE, origin, model) } };
      },
      async *generateApproaches({ environmentId, prompt, model, count }) {
        guard("rewardgen");
        if (prompt.includes("juggle")) throw typedError(Code.FailedPrecondition, "BEHAVIOUR_UNKNOWN", "unknown");
        const names = ["As asked", "Smooth", "All at once", "Again"];
        for (let approach = 1; approach <= count; approach++) {
          const value = { phase: GenerationPhase.WRITING, message: "choosing from the library" };
          yield { approach, event: { case: "stage" as const, value } };
          yield { approach, event: { case: "sourceDelta" as const, value: SOURCE } };
        }
        for (let approach = 1; approach <= count; approach++) {
          await pause(stepMs);
          if (prompt.includes("alike") && approach === 2) {
            yield { approach, event: { case: "sameAs" as const, value: 1 } };
          } else if (prompt.includes("broken") && approach === 3) {
            const value = { reason: "PROVIDER_TIMEOUT", message: "the model took too long." };
            yield { approach, event: { case: "failure" as const, value } };
          } else {
            const made = seal(environmentId, prompt, SOURCE, RewardOrigin.LIBRARY, model || "library");
            const named = { ...made, name: names[approach - 1] ?? "", expectedBehaviour: "It keeps the pole up." };
            rewards.set(made.rewardId, named);
            yield { approach, event: { case: "reward" as const, value: named } };
          }
        }
      },
      async *improveReward({ rewardId, remark }) {
        guard("rewardgen");
        const before = found(rewards.get(rewardId), "REWARD_NOT_FOUND", "reward");
        if (models.every(({ name }) => name === "library")) {
          throw typedError(Code.FailedPrecondition, "REFLECTION_NEEDS_LLM", "no LLM is configured");
        }
        const value = { phase: GenerationPhase.WRITING, message: "looking at the curves" };
        yield { event: { case: "stage" as const, value } };
        await pause(stepMs);
        const source = before.source.replace("-0.05", "-0.5");
        const made = seal(before.environmentId, before.prompt, source, RewardOrigin.LLM, "first/large");
        const terms = made.terms.map((term) => (term.name === "effort" ? { ...term, weight: 3 } : term));
        const after = { ...made, terms, explanation: `Because ${remark}`, parentRewardId: rewardId };
        rewards.set(after.rewardId, after);
        yield { event: { case: "reward" as const, value: after } };
      },
      compileReward: ({ environmentId, source, prompt }) => {
        guard("rewardgen");
        const line = source.split("\n").findIndex((text) => text.includes("import")) + 1;
        if (line > 0) {
          throw typedError(Code.InvalidArgument, "REWARD_REJECTED", "the source breaks a rule", [
            [`source:${line}:1`, "import-forbidden: nothing can be imported; `jnp` and `state` are there already"],
          ]);
        }
        return { reward: seal(environmentId, prompt, source, RewardOrigin.PERSON) };
      },
      getReward: ({ rewardId }) => ({ reward: found(rewards.get(rewardId), "REWARD_NOT_FOUND", "reward") }),
      listRewards: () => ({ rewards: [...rewards.values()].reverse() }),
    });
    service(TrainerService, {
      createRun: ({ spec }) => {
        guard("trainer");
        const envSteps = spec?.settings?.envSteps ?? 2_000_000n;
        const run = create(RunSchema, {
          runId: `run-${runs.size + 1}`,
          spec: { ...spec, settings: withSteps(spec?.settings, envSteps) },
          state: RunState.QUEUED,
          createTime: timestampNow(),
        } as MessageInitShape<typeof RunSchema>);
        runs.set(run.runId, run);
        events.set(run.runId, []);
        return { run };
      },
      getRun: ({ runId }) => ({ run: found(runs.get(runId), "RUN_NOT_FOUND", "run") }),
      listRuns: ({ environmentId, pageSize, pageToken }) => {
        guard("trainer");
        const listed = [...runs.values()].filter(({ spec }) => !environmentId || spec?.environmentId === environmentId);
        const { items, nextPageToken } = page(listed.reverse(), pageSize, pageToken);
        return { runs: items, nextPageToken };
      },
      cancelRun: ({ runId }) => {
        const run = found(runs.get(runId), "RUN_NOT_FOUND", "run");
        append(runId, { case: "stateChanged", value: { state: RunState.CANCELLED } });
        return { run };
      },
      pauseRun: ({ runId }) => {
        append(runId, { case: "stateChanged", value: { state: RunState.PAUSED } });
        return { run: found(runs.get(runId), "RUN_NOT_FOUND", "run") };
      },
      continueRun: ({ runId }) => {
        append(runId, { case: "stateChanged", value: { state: RunState.QUEUED } });
        return { run: found(runs.get(runId), "RUN_NOT_FOUND", "run") };
      },
      updateRun: ({ runId, tags, notes }) => {
        const run = found(runs.get(runId), "RUN_NOT_FOUND", "run");
        const next = { ...run, ...(tags ? { tags: tags.values } : {}), ...(notes === undefined ? {} : { notes }) };
        runs.set(runId, next);
        return { run: next };
      },
      deleteRun: ({ runId }) => {
        guard("trainer");
        const { state } = found(runs.get(runId), "RUN_NOT_FOUND", "run");
        if (state < RunState.SUCCEEDED || state === RunState.PAUSED) {
          throw typedError(Code.FailedPrecondition, "RUN_NOT_ENDED", "the run has not ended; cancel it first");
        }
        runs.delete(runId);
        return {};
      },
      estimateRun: ({ spec }) => {
        guard("trainer");
        if (spec?.settings?.domainRandomization) {
          const said = "nobody has said what to vary in CartpoleBalance";
          throw typedError(Code.InvalidArgument, "INVALID_FIELD", said, [["spec.settings.domain_randomization", said]]);
        }
        const rented = spec?.compute?.executor === Executor.MODAL ? { costUsd: 0.19, usdPerHour: 4.27 } : {};
        const envSteps = spec?.settings?.envSteps ?? 2_000_000n;
        const settings = withSteps(spec?.settings, envSteps);
        return {
          durationSecs: 14 + Number(envSteps) / 25_000,
          startupSecs: 14,
          envStepsPerSec: 25_000,
          measuredRuns: 2,
          settings,
          ...rented,
        };
      },
      async *watchRuns(request, { signal }) {
        guard("trainer");
        watches.requests.push(request);
        watches.open += 1;
        const called = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => called.resolve());
        try {
          const told = new Map<string, bigint>();
          for (const { runId, afterRevision } of request.cursors) {
            if (!runs.has(runId))
              throw typedError(Code.NotFound, "RUN_NOT_FOUND", "no such run", [], { run_id: runId });
            if (afterRevision > 0n && expired.delete(runId)) {
              throw typedError(Code.OutOfRange, "REVISION_OUT_OF_RANGE", "start again from revision 0");
            }
            told.set(runId, afterRevision);
            yield { update: { case: "snapshot" as const, value: found(runs.get(runId), "", "") } };
          }
          while (!signal.aborted) {
            const news = changed.promise;
            const end = ended.promise;
            for (const [runId, revision] of told) {
              for (const event of events.get(runId) ?? []) {
                if (event.revision <= revision) continue;
                told.set(runId, event.revision);
                yield { update: { case: "event" as const, value: event } };
              }
            }
            if ([...told.keys()].every((runId) => (runs.get(runId)?.state ?? 0) >= RunState.SUCCEEDED)) return;
            if ((await Promise.race([news, broken.promise, called.promise, end])) === "ended") return;
          }
        } finally {
          watches.open -= 1;
        }
      },
    });
    service(ExporterService, {
      getPolicy: ({ policyId }) => {
        guard("exporter");
        return { policy: found(policies.get(policyId), "POLICY_NOT_FOUND", "policy") };
      },
      listPolicies: ({ pageSize, pageToken }) => {
        guard("exporter");
        const { items, nextPageToken } = page([...policies.values()].reverse(), pageSize, pageToken);
        return { policies: items, nextPageToken };
      },
      deletePolicy: ({ policyId }) => {
        guard("exporter");
        const references = referencesOf(policyId).join(", ");
        if (references) {
          const message = `${policyId} is registered as ${references}; delete that first.`;
          throw typedError(Code.FailedPrecondition, "POLICY_IN_USE", message, [], { references });
        }
        policies.delete(policyId);
        return {};
      },
      exportPolicy: ({ policyId, format }) => {
        guard("exporter");
        found(policies.get(policyId), "POLICY_NOT_FOUND", "policy");
        const sha256 = format.toString(16).padStart(64, "0");
        const isController = format <= ExportFormat.CONTROLLER_INT8;
        const manifest = isController ? { manifest: { sha256: format.toString(16).padStart(64, "f") } } : {};
        return { export: { format, file: { sha256 }, ...manifest }, downloadPath: `/artifacts/${sha256}` };
      },
    });
    service(SharingService, {
      createBundle: ({ policyId }) => {
        guard("exporter");
        found(policies.get(policyId), "POLICY_NOT_FOUND", "policy");
        const leftOut = ["The video: this machine cannot draw."];
        return { downloadPath: `/artifacts/${"b".repeat(64)}`, fileName: `${policyId}.tabrl`, leftOut };
      },
      importBundle: ({ sizeBytes, offsetBytes, data }) => {
        guard("exporter");
        if (offsetBytes !== imported) {
          const metadata = { received_bytes: String(imported) };
          throw typedError(Code.OutOfRange, "UPLOAD_OUT_OF_STEP", "the piece does not follow", [], metadata);
        }
        if (offsetBytes === 0n && !(data[0] === 0x50 && data[1] === 0x4b)) {
          const metadata = { rule: "NOT_A_ZIP" };
          throw typedError(Code.InvalidArgument, "BUNDLE_REFUSED", "the file is no zip", [], metadata);
        }
        imported += BigInt(data.length);
        const receivedBytes = imported;
        if (receivedBytes < sizeBytes || data.length > 0) return { receivedBytes };
        imported = 0n;
        const policyId = "imported-1";
        const policy = create(PolicySchema, { policyId, environmentId: "CartpoleBalance", title: "dance" });
        policies.set(policyId, policy);
        return { receivedBytes, policy };
      },
    });
    service(InferenceService, {
      async *evaluate({ episodes }) {
        guard("inference");
        for (let index = 0; index < episodes; index++) {
          await pause(stepMs);
          const value = { index, episodeReturn: 900 + 10 * index, length: 1000, survived: 1 };
          yield { update: { case: "episode" as const, value } };
        }
        const value = { episodes, meanReturn: 920, stdReturn: 14, meanSurvived: 1, controlLatencySecs: 0.0001 };
        yield { update: { case: "summary" as const, value } };
      },
    });
  });

  function append(runId: string, event: MessageInitShape<typeof RunEventSchema>["event"]): void {
    const run = found(runs.get(runId), "RUN_NOT_FOUND", "run");
    const revision = run.revision + 1n;
    const added = create(RunEventSchema, { runId, revision, time: timestampNow(), event });
    events.get(runId)?.push(added);
    const next: Run = { ...run, revision };
    const { event: what } = added;
    if (what.case === "stateChanged") {
      next.state = what.value.state;
      if (what.value.error) next.error = what.value.error;
      if (added.time && what.value.state === RunState.STARTING) next.startTime = added.time;
    }
    if (what.case === "metrics") next.metrics = what.value;
    if (what.case === "checkpoint") next.checkpoints = [...run.checkpoints, what.value];
    if (what.case === "policyRefused") {
      const { checkpointSha256, error } = what.value;
      next.checkpoints = run.checkpoints.map((each) =>
        each.artifact?.sha256 === checkpointSha256 && error ? { ...each, refusal: error } : each,
      );
    }
    if (what.case === "policyPublished") {
      const { checkpointSha256, policyId } = what.value;
      next.checkpoints = run.checkpoints.map((each) =>
        each.artifact?.sha256 === checkpointSha256 ? { ...each, policyId } : each,
      );
    }
    runs.set(runId, next);
    changed.resolve();
    changed = Promise.withResolvers<void>();
  }

  return {
    transport,
    append,
    breakWatches() {
      broken.reject(new ConnectError("connection lost", Code.Unavailable));
      broken = Promise.withResolvers<never>();
      broken.promise.catch(() => undefined);
    },
    endWatches() {
      ended.resolve("ended");
      ended = Promise.withResolvers();
    },
    expire: (runId) => void expired.add(runId),
    setDown: (service, isDown) => (isDown ? down.add(service) : down.delete(service)),
    putPolicy(policy) {
      const made = create(PolicySchema, policy);
      policies.set(made.policyId, made);
    },
    watches,
    runs,
    rewards,
  };
}
