import type { Place } from "../app/location";
import { LineageKind as Kind, type LineageNode } from "../gen/tabrl/exporter/v1/registry_pb";
import { wordsOf } from "../policies/policyTitle";

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
  if (kind === Kind.PROMPT) return wordsOf(id) || "The task's own reward";
  if (kind === Kind.POLICY) return wordsOf(title) || "The task's own reward";
  if (kind === Kind.REWARD) return title || `${id.slice(0, DIGEST_SHOWN)}…`;
  return title || id;
}

/** Where a node leads; undefined where there is nothing to look at. */
export function nodePlace({ kind, id, title }: LineageNode): Partial<Place> | undefined {
  switch (kind) {
    case Kind.POLICY:
      return { policyId: id };
    case Kind.RUN:
      return { runId: id };
    case Kind.REWARD:
      return title ? { rewardId: title } : undefined;
    case Kind.ENVIRONMENT:
      return { environmentId: id };
    default:
      return undefined;
  }
}
