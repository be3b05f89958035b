import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import {
  LineageKind,
  type PolicyVersion,
  PolicyVersionSchema,
  type RegisteredPolicy,
  RegisteredPolicySchema,
  RegistryService,
  VersionTagSchema,
} from "../gen/tabrl/exporter/v1/registry_pb";
import { typedError } from "./typedError";

/** What the registry in memory shares with the rest of the backend. */
interface Neighbours {
  readonly policies: Map<string, Policy>;
  readonly guard: () => void;
}

/** Names, versions and tags in memory, by the contract's rules. Returns what tells where a policy is registered, such as `dance@2`. */
export function serveRegistry(
  { service }: ConnectRouter,
  { policies, guard }: Neighbours,
): (policyId: string) => string[] {
  const names = new Map<string, RegisteredPolicy>();
  const given = new Map<string, number>();

  function missing(message: string, name: string): never {
    throw typedError(Code.NotFound, "VERSION_NOT_FOUND", message, [], { name });
  }
  function named(name: string): RegisteredPolicy {
    guard();
    const found = names.get(name);
    return found && found.versions.length > 0 ? found : missing(`Nothing is registered as '${name}'.`, name);
  }
  function numbered(name: string, number: number): PolicyVersion {
    return (
      named(name).versions.find((each) => each.number === number) ?? missing(`${name} has no version ${number}.`, name)
    );
  }
  function policy(policyId: string): Policy {
    guard();
    const found = policies.get(policyId);
    if (!found) throw typedError(Code.NotFound, "POLICY_NOT_FOUND", `there is no policy ${policyId}`);
    return found;
  }
  // The policy is told as it is now, `latest` as it follows from the versions.
  function told(registered: RegisteredPolicy): RegisteredPolicy {
    const versions = registered.versions.map((each) => {
      const now = policies.get(each.policy?.policyId ?? "");
      return now ? { ...each, policy: now } : each;
    });
    const latest = create(VersionTagSchema, { tag: "latest", number: versions[0]?.number ?? 0 });
    return { ...registered, versions, tags: [latest, ...registered.tags] };
  }

  service(RegistryService, {
    registerVersion: ({ name, policyId, notes }) => {
      const added = policy(policyId);
      const before = names.get(name);
      if (before && before.versions.length > 0 && before.environmentId !== added.environmentId) {
        const message = `${name} drives ${before.environmentId}.`;
        throw typedError(Code.FailedPrecondition, "ENVIRONMENT_MISMATCH", message);
      }
      const same = before?.versions.find((each) => each.policy?.policyId === policyId);
      if (same) return { version: same };
      const number = (given.get(name) ?? 0) + 1;
      given.set(name, number);
      const version = create(PolicyVersionSchema, { number, policy: added, notes, createTime: timestampNow() });
      const updateTime = timestampNow();
      names.set(name, {
        ...(before ?? create(RegisteredPolicySchema, { name, createTime: updateTime })),
        environmentId: added.environmentId,
        versions: [version, ...(before?.versions ?? [])],
        updateTime,
      });
      return { version };
    },
    getRegisteredPolicy: ({ name }) => ({ registered: told(named(name)) }),
    listRegisteredPolicies: ({ environmentId }) => {
      guard();
      const listed = [...names.values()].filter(
        (each) => each.versions.length > 0 && (!environmentId || each.environmentId === environmentId),
      );
      const registered = listed.reverse().map((each) => ({ ...told(each), versions: told(each).versions.slice(0, 1) }));
      return { registered };
    },
    updateVersion: ({ name, number, notes }) => {
      const version = { ...numbered(name, number), notes };
      const found = named(name);
      names.set(name, { ...found, versions: found.versions.map((each) => (each.number === number ? version : each)) });
      return { version };
    },
    deleteVersion: ({ name, number }) => {
      numbered(name, number);
      const found = named(name);
      const tags = found.tags.filter((tag) => tag.number === number).map(({ tag }) => tag);
      if (tags.length > 0) {
        const message = `${name}@${number} is tagged ${tags.join(", ")}; move or delete that first.`;
        throw typedError(Code.FailedPrecondition, "VERSION_TAGGED", message, [], { tags: tags.join(", ") });
      }
      names.set(name, { ...found, versions: found.versions.filter((each) => each.number !== number) });
      return {};
    },
    setTag: ({ name, tag, number }) => {
      numbered(name, number);
      const found = named(name);
      const before = found.tags.find((each) => each.tag === tag);
      const earlier = before ? [before.number, ...before.earlier].filter((each) => each !== number) : [];
      const next = create(VersionTagSchema, { tag, number, earlier, setTime: timestampNow() });
      names.set(name, { ...found, tags: [...found.tags.filter((each) => each.tag !== tag), next] });
      return { tag: next };
    },
    rollBackTag: ({ name, tag, fromNumber }) => {
      const found = named(name);
      const before = found.tags.find((each) => each.tag === tag) ?? missing(`${name} has no tag ${tag}.`, name);
      if (fromNumber !== 0 && fromNumber !== before.number) {
        const message = `${name}@${tag} points to version ${before.number}, not to ${fromNumber} any more; look again.`;
        throw typedError(Code.Aborted, "TAG_MOVED", message, [], { number: String(before.number) });
      }
      const [number, ...earlier] = before.earlier;
      if (number === undefined) {
        throw typedError(Code.FailedPrecondition, "NOTHING_TO_ROLL_BACK", `${name}@${tag} never pointed elsewhere`);
      }
      const next = create(VersionTagSchema, { tag, number, earlier, setTime: timestampNow() });
      names.set(name, { ...found, tags: [...found.tags.filter((each) => each.tag !== tag), next] });
      return { tag: next };
    },
    deleteTag: ({ name, tag }) => {
      const found = named(name);
      names.set(name, { ...found, tags: found.tags.filter((each) => each.tag !== tag) });
      return {};
    },
    measurePolicy: ({ policyId, episodes }) => {
      const before = policy(policyId);
      const measurement = {
        $typeName: "tabrl.exporter.v1.PolicyMeasurement" as const,
        episodes: episodes || 5,
        seed: 0,
        meanReturn: 920,
        stdReturn: 14,
        meanSurvived: 1,
        termReturns: { upright: 920 },
        check: "",
        checkHeld: 0,
        measureTime: timestampNow(),
      };
      policies.set(policyId, { ...before, measurements: [measurement, ...before.measurements] });
      return { measurement };
    },
    comparePolicies: ({ leftPolicyId, rightPolicyId }) => {
      const [left, right] = [policy(leftPolicyId), policy(rightPolicyId)];
      const change = Number(right.envSteps - left.envSteps);
      const steps = { name: "env_steps", left: String(left.envSteps), right: String(right.envSteps), change };
      return { left, right, differences: change === 0 ? [] : [steps] };
    },
    getLineage: ({ policyId }) => {
      const { runId, environmentId, title } = policy(policyId);
      const nodes = [
        { kind: LineageKind.POLICY, id: policyId, title },
        { kind: LineageKind.RUN, id: runId, title: "" },
        { kind: LineageKind.ENVIRONMENT, id: environmentId, title: "" },
      ];
      const edges = [
        { source: 1, target: 0 },
        { source: 2, target: 1 },
      ];
      return { nodes, edges };
    },
  });
  return (policyId) =>
    [...names.values()].flatMap(({ name, versions }) =>
      versions.filter((each) => each.policy?.policyId === policyId).map(({ number }) => `${name}@${number}`),
    );
}
