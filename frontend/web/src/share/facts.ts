import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { formatCount, formatName, formatReward } from "../format/format";
import type { ParityReport, PolicyMeasurement } from "../gen/tabrl/exporter/v1/exporter_pb";
import { wordsOf } from "../registry/naming";
import type { SharedPolicy } from "./sharedPolicy";

/** A line of the card. `code` marks what is an id. */
export interface Fact {
  readonly name: string;
  readonly value: string;
  /** The whole of a value that is shown shortened. */
  readonly whole?: string;
  readonly code?: boolean;
}

const DIGEST_SHOWN = 12;

/** `Go1JoystickFlatTerrain` as words: Go1 joystick flat terrain. */
export function environmentName(environmentId: string): string {
  const words = environmentId.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[-_]+/g, " ");
  return formatName(words.replace(/ ([A-Z])(?=[a-z])/g, (_, letter: string) => ` ${letter.toLowerCase()}`));
}

/** What the page is called: the policy's title, else what was asked for, else the environment. */
export function titleOf({ policy, manifest }: SharedPolicy): string {
  return wordsOf(policy.title) || promptOf({ policy, manifest }) || environmentName(policy.environmentId);
}

/** What the person asked for; empty when that is not on record. */
export function promptOf({ policy, manifest }: Pick<SharedPolicy, "policy" | "manifest">): string {
  return wordsOf(policy.lineage?.prompt) || wordsOf(manifest.lineage?.prompt);
}

/** Where the policy comes from, as far as is known. */
export function originFacts({ policy, manifest }: SharedPolicy): Fact[] {
  const lineage = policy.lineage ?? manifest.lineage;
  const steps = policy.envSteps || lineage?.envSteps || 0n;
  const facts: Fact[] = [{ name: "Environment", value: policy.environmentId, code: true }];
  if (steps > 0n) facts.push({ name: "Practice", value: `${formatCount(steps)} steps` });
  if (policy.createTime) facts.push({ name: "Made", value: day(policy.createTime) });
  const reward = policy.reward?.rewardId || lineage?.rewardId;
  facts.push(
    reward ? { name: "Reward", value: reward, code: true } : { name: "Reward", value: "the environment’s own" },
  );
  const parent = lineage?.parentCheckpointSha256;
  if (parent) facts.push({ name: "Fine-tuned from", ...digest(parent) });
  if (policy.runId || lineage?.runId)
    facts.push({ name: "Run", value: policy.runId || lineage?.runId || "", code: true });
  if (policy.checkpointSha256) facts.push({ name: "Checkpoint", ...digest(policy.checkpointSha256) });
  if (policy.imported?.policyId) facts.push({ name: "Imported from", value: policy.imported.policyId, code: true });
  facts.push({ name: "Policy", value: policy.policyId, code: true });
  return facts;
}

/** What runs here. */
export function controllerFacts({ policy, manifest }: SharedPolicy): Fact[] {
  const facts: Fact[] = [
    { name: "Decides", value: `${trim(1 / manifest.controlPeriodSecs)} times a second` },
    { name: "Episode", value: `${trim(manifest.episodeLength * manifest.controlPeriodSecs)} s` },
  ];
  if (policy.controller) {
    facts.push({ name: "Controller", value: `${formatSize(Number(policy.controller.sizeBytes))} of ONNX` });
    facts.push({ name: "SHA-256", ...digest(policy.controller.sha256) });
  }
  return facts;
}

/** How close the controller is to what was trained, as a sentence; undefined when it was not measured. */
export function parityWords(parity: ParityReport | undefined): string | undefined {
  if (!parity || parity.states === 0) return undefined;
  const largest = Math.max(0, ...parity.outputs.map(({ maxDifference }) => maxDifference));
  const words = `Compared with the network as it was trained on ${parity.states} states: no output differs by more than ${scientific(largest)}.`;
  const { episodes = [], secs = 0 } = parity.closedLoop ?? {};
  if (episodes.length === 0) return words;
  const mean = (returns: number[]) => formatReward(returns.reduce((sum, one) => sum + one, 0) / returns.length);
  const controller = mean(episodes.map(({ controllerReturn }) => controllerReturn));
  const source = mean(episodes.map(({ sourceReturn }) => sourceReturn));
  return `${words} Each drove the robot on its own for ${episodes.length} episodes of up to ${trim(secs)} s and earned ${controller} beside ${source}.`;
}

/** What an evaluation measured, as a sentence. */
export function measurementWords(measured: PolicyMeasurement): string {
  const many = `${measured.episodes} ${measured.episodes === 1 ? "episode" : "episodes"}`;
  const length = `${Math.round(100 * measured.meanSurvived)} % of their length`;
  const check = measured.check ? `; the check held in ${measured.checkHeld} of them` : "";
  return `Return ${formatReward(measured.meanReturn)} ± ${formatReward(measured.stdReturn)} over ${many}, ${length}${check}.`;
}

function digest(sha256: string): Omit<Fact, "name"> {
  return { value: sha256.slice(0, DIGEST_SHOWN), whole: sha256, code: true };
}

function day({ seconds }: Timestamp): string {
  const date = new Date(Number(seconds) * 1000);
  return date.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
}

function formatSize(bytes: number): string {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function scientific(value: number): string {
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(value));
  return `${(value / 10 ** exponent).toFixed(1)} × 10${superscript(exponent)}`;
}

function superscript(exponent: number): string {
  const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  return String(exponent).replace(/[-0-9]/g, (sign) => (sign === "-" ? "⁻" : (digits[Number(sign)] ?? "")));
}

function trim(value: number): string {
  return String(Number(value.toPrecision(3)));
}
