import { upperFirst } from "../format/format";
/** A joint or motor with a name that people can read. */
export interface Part<T> {
  readonly spec: T;
  readonly label: string;
  /** Its place among all of them. */
  readonly index: number;
}

/** Parts that belong together, such as those of the left leg. */
export interface Limb<T> {
  readonly title: string;
  readonly parts: readonly Part<T>[];
}

const SIDES: Words = { l: "Left", left: "Left", r: "Right", right: "Right" };
const LEGS: Words = {
  fl: "Front left leg",
  fr: "Front right leg",
  rl: "Rear left leg",
  rr: "Rear right leg",
  hl: "Rear left leg",
  hr: "Rear right leg",
  lf: "Front left leg",
  rf: "Front right leg",
  lh: "Rear left leg",
  rh: "Rear right leg",
};
const FINGERS: Words = {
  th: "Thumb",
  if: "Index finger",
  ff: "Index finger",
  mf: "Middle finger",
  rf: "Ring finger",
  lf: "Little finger",
};
const REGIONS: Words = {
  hip: "leg",
  thigh: "leg",
  knee: "leg",
  calf: "leg",
  ankle: "leg",
  ank: "leg",
  toe: "leg",
  shoulder: "arm",
  sho: "arm",
  elbow: "arm",
  el: "arm",
  forearm: "arm",
  wrist: "arm",
  finger: "arm",
  gripper: "arm",
};
const MIDDLES: Words = { waist: "Trunk", torso: "Trunk", abdomen: "Trunk", head: "Head", neck: "Head" };
const ROOTS: Words = { rootx: "Forwards", rooty: "Lean", rootz: "Height" };
/** Short forms of anatomy and of robot makers. */
const WORDS: Words = {
  sho: "shoulder",
  el: "elbow",
  ank: "ankle",
  mcp: "knuckle",
  pip: "middle joint",
  dip: "tip",
  ipl: "tip",
  rot: "spread",
  cmc: "base",
  axl: "twist",
  aa: "sideways",
  fe: "bend",
  ie: "twist",
  pd: "bend",
  haa: "hip sideways",
  hfe: "hip bend",
  kfe: "knee bend",
};

type Words = Readonly<Record<string, string>>;

/** Joints or motors by limb, in the order of the model; `what` names those without a name. */
export function limbsOf<T extends { readonly name: string }>(specs: readonly T[], what: string): readonly Limb<T>[] {
  const firsts = new Set(specs.map(({ name }) => wordsOf(name)[0] ?? ""));
  const fourLegged = ["fl", "fr", "lh", "rh"].some((first) => firsts.has(first));
  const firstWords = fourLegged ? LEGS : firsts.has("th") ? FINGERS : {};
  const limbs = new Map<string, Part<T>[]>();
  for (const [index, spec] of specs.entries()) {
    const { title, label } = read(spec.name, firstWords);
    const parts = limbs.get(title) ?? [];
    parts.push({ spec, label: label || `${what} ${index + 1}`, index });
    limbs.set(title, parts);
  }
  return [...limbs].map(([title, parts]) => ({ title, parts }));
}

/** Those limbs of which something has the text in its name, with only that; all when the text is empty. */
export function searched<T extends { readonly name: string }>(
  limbs: readonly Limb<T>[],
  text: string,
): readonly Limb<T>[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return limbs;
  return limbs
    .map(({ title, parts }) => ({
      title,
      parts: parts.filter(({ label, spec }) => `${title} ${label} ${spec.name}`.toLowerCase().includes(wanted)),
    }))
    .filter(({ parts }) => parts.length > 0);
}

function read(name: string, firstWords: Words): { title: string; label: string } {
  const words = wordsOf(name);
  const [first = "", ...rest] = words;
  const root = ROOTS[first];
  if (root) return { title: "Whole body", label: root };
  const limb = firstWords[first];
  if (limb) return { title: limb, label: labelOf(rest) };
  const side = SIDES[first];
  if (side) {
    const region = REGIONS[rest.find((word) => word in REGIONS) ?? ""];
    return { title: region ? `${side} ${region}` : `${side} side`, label: labelOf(rest) };
  }
  const end = /^(b|f)(thigh|shin|foot)$/.exec(first);
  if (end) return { title: end[1] === "b" ? "Back leg" : "Front leg", label: labelOf([end[2] ?? ""]) };
  return { title: MIDDLES[first] ?? "", label: labelOf(words) };
}

/** `left_hip_pitch_joint` in words, without what only says that it is a joint. */
function wordsOf(name: string): readonly string[] {
  const all = name
    .toLowerCase()
    .replace(/(?<=[a-z])(?=\d)/g, " ")
    .split(/[\s_/\-.]+/)
    .filter(Boolean);
  const telling = all.filter((word) => !["joint", "act", "actuator"].includes(word));
  return telling.some((word) => /[a-z]/.test(word)) ? telling : all;
}

function labelOf(words: readonly string[]): string {
  return upperFirst(words.map((word) => WORDS[word] ?? word).join(" "));
}
