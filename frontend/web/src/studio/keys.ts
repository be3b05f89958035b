/** What keys do on the stage, for those who know them. */
export type StageAction = "play" | "step" | "episode" | "camera" | "contacts" | "slower" | "faster";

/** Each action's key, as it is shown. */
export const SHORTCUTS: Readonly<Record<StageAction, string>> = {
  play: "Space",
  step: ".",
  episode: "N",
  camera: "H",
  contacts: "F",
  slower: "−",
  faster: "+",
};

const ACTIONS: Readonly<Record<string, StageAction>> = {
  " ": "play",
  ".": "step",
  n: "episode",
  h: "camera",
  f: "contacts",
  "-": "slower",
  "+": "faster",
  "=": "faster",
};

/** The action of a key; undefined for others, and for what browser or system do with it. */
export function stageActionOf(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">,
): StageAction | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  return ACTIONS[event.key.toLowerCase()];
}
