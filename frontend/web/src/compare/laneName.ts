import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { policyTitle, practice } from "../policies/policyTitle";

/** What a lane is called in a sentence or a file, so that two of one run can be told apart: `A, walk fast (1.2M steps)`. */
export function laneName(letter: string, policy: Pick<Policy, "title" | "envSteps"> | undefined): string {
  return policy ? `${letter}, ${policyTitle(policy)} (${practice(policy)})` : letter;
}

/** As above, with what tells them apart first, for where little room is: `A · 1.2M steps · walk fast`. */
export function laneLabel(letter: string, policy: Pick<Policy, "title" | "envSteps">): string {
  return `${letter} · ${practice(policy)} · ${policyTitle(policy)}`;
}
