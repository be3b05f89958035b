import { formatCount } from "../format/format";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";

/** What the services call a run of which nobody asked anything. */
const NO_PROMPT = "its own task";
const OWN_REWARD = "The task's own reward";

/** What a person said; empty where the words only say that nobody asked anything. */
export function wordsOf(said: string | undefined): string {
  return said && said !== NO_PROMPT ? said : "";
}

/** What a policy learned to do, as its maker said it. */
export function policyTitle({ title, lineage }: Pick<Policy, "title"> & Partial<Pick<Policy, "lineage">>): string {
  return wordsOf(title) || wordsOf(lineage?.prompt) || OWN_REWARD;
}

/** What a run trains for, as its maker said it. */
export function runTitle({ spec }: Pick<Run, "spec">): string {
  return wordsOf(spec?.title) || OWN_REWARD;
}

/** How long a policy practised: `1.2M steps`. */
export function practice({ envSteps }: Pick<Policy, "envSteps">): string {
  return `${formatCount(envSteps)} steps`;
}
