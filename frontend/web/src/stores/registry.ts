import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { ControllerManifest } from "../gen/tabrl/exporter/v1/manifest_pb";
import type {
  ComparePoliciesResponse,
  GetLineageResponse,
  PolicyVersion,
  RegisteredPolicy,
  VersionTag,
} from "../gen/tabrl/exporter/v1/registry_pb";
import type { Clients } from "../rpc/clients";
import { createListings, type Listings } from "./listing";
import { ALL, createResources, type Resources } from "./resource";

/** The tag that the service moves by itself. */
export const LATEST = "latest";

/** Whole episodes take the server up to a minute, and others may be before them. */
const MEASURE_DEADLINE_MS = 300_000;

/** Names for policies, with their versions and tags. What changes something throws what the call threw. */
export interface Registry {
  /** Names in full. */
  readonly names: Resources<RegisteredPolicy>;
  /** Names by environment id, or all of them under ALL, each with its newest version alone. */
  readonly lists: Listings<RegisteredPolicy>;
  readonly lineages: Resources<GetLineageResponse>;
  /** Differences by both policies' ids with a comma between them. */
  readonly comparisons: Resources<ComparePoliciesResponse>;
  /** Manifests by their digests. */
  readonly manifests: Resources<ControllerManifest>;
  readonly all: readonly Pick<Resources<unknown>, "retryFailed">[];
  register(name: string, policy: Policy, notes: string): Promise<PolicyVersion>;
  writeNotes(name: string, number: number, notes: string): Promise<void>;
  setTag(name: string, tag: string, number: number): Promise<void>;
  rollBackTag(name: string, tag: string, fromNumber: number): Promise<void>;
  deleteTag(name: string, tag: string): Promise<void>;
  deleteVersion(name: string, number: number): Promise<void>;
  /** Has a policy play episodes on the server; what was measured is with it, and with the name that shows it, from then on. */
  measure(policyId: string, episodes: number, name: string): Promise<void>;
}

/** The registry over the Exporter. */
export function createRegistry({ registry, exporter }: Pick<Clients, "registry" | "exporter">): Registry {
  const names = createResources(async (name) => {
    const { registered } = await registry.getRegisteredPolicy({ name });
    if (!registered) throw new Error("the answer holds no name");
    return registered;
  });
  const lists = createListings<RegisteredPolicy>(async (key, pageToken) => {
    const environmentId = key === ALL ? "" : key;
    const { registered, nextPageToken } = await registry.listRegisteredPolicies({ environmentId, pageToken });
    return { items: registered, nextPageToken };
  });
  const lineages = createResources((policyId) => registry.getLineage({ policyId }));
  const compared = new Set<string>();
  const comparisons = createResources((key) => {
    compared.add(key);
    const [leftPolicyId = "", rightPolicyId = ""] = key.split(",");
    return registry.comparePolicies({ leftPolicyId, rightPolicyId });
  });
  const manifests = createResources(
    async (sha256) => (await (await import("../player/manifestScene")).readManifestScene(sha256)).manifest,
  );

  function change(name: string, how: (registered: RegisteredPolicy) => Partial<RegisteredPolicy>): void {
    const { value } = names.get(name);
    if (value) names.put(name, { ...value, ...how(value) });
  }

  function reloadLists(environmentId: string | undefined): void {
    for (const key of [ALL, environmentId]) if (key && lists.get(key).value) lists.reload(key);
  }

  const changed = (name: string) => reloadLists(names.get(name).value?.environmentId);

  function putTag(name: string, tag: VersionTag | undefined): void {
    if (tag) {
      change(name, ({ tags }) => ({
        tags: [...tags.filter((each) => each.tag !== tag.tag), tag].sort((a, b) => a.tag.localeCompare(b.tag)),
      }));
    }
    changed(name);
  }

  return {
    names,
    lists,
    lineages,
    comparisons,
    manifests,
    all: [names, lists, lineages, comparisons, manifests],
    async register(name, { policyId, environmentId }, notes) {
      const { version } = await registry.registerVersion({ name, policyId, notes });
      if (!version) throw new Error("the answer holds no version");
      names.reload(name);
      reloadLists(environmentId);
      return version;
    },
    async writeNotes(name, number, notes) {
      const { version } = await registry.updateVersion({ name, number, notes });
      if (version) {
        change(name, ({ versions }) => ({
          versions: versions.map((each) => (each.number === number ? version : each)),
        }));
      }
      changed(name);
    },
    async setTag(name, tag, number) {
      putTag(name, (await registry.setTag({ name, tag, number })).tag);
    },
    async rollBackTag(name, tag, fromNumber) {
      try {
        putTag(name, (await registry.rollBackTag({ name, tag, fromNumber })).tag);
      } catch (thrown) {
        // Somebody moved or deleted it: what the page shows is old.
        names.reload(name);
        throw thrown;
      }
    },
    async deleteTag(name, tag) {
      await registry.deleteTag({ name, tag });
      change(name, ({ tags }) => ({ tags: tags.filter((each) => each.tag !== tag) }));
      changed(name);
    },
    async deleteVersion(name, number) {
      await registry.deleteVersion({ name, number });
      change(name, ({ versions }) => ({ versions: versions.filter((each) => each.number !== number) }));
      // `latest` may point elsewhere, and of a name without versions nothing is left.
      names.reload(name);
      changed(name);
    },
    async measure(policyId, episodes, name) {
      await registry.measurePolicy({ policyId, episodes }, { timeoutMs: MEASURE_DEADLINE_MS });
      const { policy } = await exporter.getPolicy({ policyId });
      if (!policy) return;
      change(name, ({ versions }) => ({
        versions: versions.map((each) => (each.policy?.policyId === policyId ? { ...each, policy } : each)),
      }));
      for (const key of compared) if (key.split(",").includes(policyId)) comparisons.reload(key);
      changed(name);
    },
  };
}
