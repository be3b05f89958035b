import type { Place } from "../app/location";
import { type GetLineageResponse, LineageKind as Kind, type LineageNode } from "../gen/tabrl/exporter/v1/registry_pb";
import { policyTitle } from "../policies/policyTitle";

const KIND_WORDS: Readonly<Record<Kind, string>> = {
  [Kind.UNSPECIFIED]: "Something",
  [Kind.POLICY]: "Policy",
  [Kind.CHECKPOINT]: "Checkpoint",
  [Kind.RUN]: "Training",
  [Kind.REWARD]: "Reward",
  [Kind.PROMPT]: "Asked for",
  [Kind.ENVIRONMENT]: "Robot and task",
  [Kind.BUNDLE]: "Imported file",
};

const DIGEST_SHOWN = 10;

/** What kind of thing a node is, in words. */
export function kindWords({ kind }: LineageNode): string {
  return KIND_WORDS[kind] ?? KIND_WORDS[Kind.UNSPECIFIED];
}

/** What a node is called. */
export function nodeTitle({ kind, id, title }: LineageNode): string {
  if (kind === Kind.CHECKPOINT || kind === Kind.BUNDLE) return `${id.slice(0, DIGEST_SHOWN)}…`;
  if (kind === Kind.PROMPT) return policyTitle({ title: id });
  if (kind === Kind.POLICY) return policyTitle({ title });
  if (kind === Kind.REWARD) return title || `${id.slice(0, DIGEST_SHOWN)}…`;
  return title || id;
}

/** Nodes of what went into imported policies before they came here, by their indices: what was made elsewhere cannot be opened here. */
export function madeElsewhere({ nodes, edges }: Pick<GetLineageResponse, "nodes" | "edges">): ReadonlySet<number> {
  const sourcesOf = (index: number) => edges.filter(({ target }) => target === index).map(({ source }) => source);
  const imported = edges.filter(({ source }) => nodes[source]?.kind === Kind.BUNDLE).map(({ target }) => target);
  const found = new Set<number>();
  const open = imported.flatMap(sourcesOf);
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (found.has(index)) continue;
    found.add(index);
    open.push(...sourcesOf(index));
  }
  return found;
}

/** Where a node leads; undefined where there is nothing to look at. */
export function nodePlace({ kind, id, title }: LineageNode, elsewhere: boolean): Partial<Place> | undefined {
  switch (kind) {
    case Kind.POLICY:
      return { policyId: id };
    case Kind.RUN:
      return elsewhere ? undefined : { runId: id };
    case Kind.REWARD:
      return title && !elsewhere ? { rewardId: title } : undefined;
    case Kind.ENVIRONMENT:
      return { environmentId: id };
    default:
      return undefined;
  }
}
