import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { wordsOf } from "../policies/policyTitle";
import { LATEST } from "../stores/registry";

/** Longest name that the contract takes. */
const MAX_NAME_CHARS = 60;
/** Longer suggestions are a sentence, not a name. */
const MAX_SUGGESTED_CHARS = 40;

/** What is wrong with a name, before it is sent; undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "Give it a name, such as go1-dance.";
  if (name.length > MAX_NAME_CHARS) return `A name has ${MAX_NAME_CHARS} characters at most; this has ${name.length}.`;
  if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name))
    return "Use lower-case letters, digits and dashes, with a letter or digit first and last.";
  return undefined;
}

/** What is wrong with a tag, before it is sent; undefined when nothing is. */
export function tagProblem(tag: string): string | undefined {
  if (tag === "") return "Give the tag a name, such as stable.";
  if (tag === LATEST) return "The tag latest moves by itself; choose another name.";
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(tag))
    return "Use lower-case letters, digits and dashes, a letter first; 40 at most.";
  return undefined;
}

/** What a person types as a name may be spelt: `Go1 Dance` becomes `go1-dance`. */
export function spelt(typed: string): string {
  return typed.toLowerCase().replace(/[\s_]+/g, "-");
}

/** A name to begin with: the robot and what was asked of it, or its environment. */
export function suggestedName(policy: Policy, robot: string): string {
  const asked = wordsOf(policy.lineage?.prompt) || wordsOf(policy.title);
  if (!asked) return slug(policy.environmentId.replace(/([a-z0-9])([A-Z])/g, "$1-$2"));
  const [who, what] = [slug(robot), slug(asked)];
  return shortened(who && !what.startsWith(who) ? `${who}-${what}` : what);
}

function slug(words: string): string {
  return words
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
}

function shortened(name: string): string {
  if (name.length <= MAX_SUGGESTED_CHARS) return name;
  const whole = name.slice(0, MAX_SUGGESTED_CHARS + 1);
  return whole.slice(0, Math.max(whole.lastIndexOf("-"), 1));
}
