import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { ExporterService, ExportFormat, type Policy, PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { SharingService } from "../gen/tabrl/exporter/v1/sharing_pb";
import { InferenceService } from "../gen/tabrl/inference/v1/inference_pb";
import type { ModelSchema, Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
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
import { serveRewards } from "./rewardsBackend";
import { serveScenes } from "./sceneBackend";
import { found, typedError } from "./typedError";

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

function withSteps(settings: TrainingSettings | undefined, envSteps: bigint): TrainingSettings {
  return { ...(settings ?? create(TrainingSettingsSchema)), envSteps };
}

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
  const transport = createRouterTransport((router) => {
    const { service } = router;
    const referencesOf = serveRegistry(router, { policies, guard: () => guard("exporter") });
    serveScenes(router, { guard: () => guard("scene"), stepMs, robotMissing: options.robotMissing });
    serveRewards(router, { rewards, models, guard: () => guard("rewardgen"), stepMs });
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
        const about = { policyId, environmentId: "CartpoleBalance", title: "dance" };
        const policy = create(PolicySchema, { ...about, imported: { policyId: "elsewhere" } });
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
