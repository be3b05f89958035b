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

const WRITES = "textarea, select, [contenteditable]:not([contenteditable=false]), .cm-editor";
const NO_TEXT = new Set(["range", "checkbox", "radio", "button", "submit", "file", "color"]);
const USES_SPACE = "button, a, summary, input, [role=button], [role=menuitem], [role=tab], [role=option]";
const USES_ARROWS = "input, [role=slider], [role=tab], [role=tablist], [role=menu], [role=listbox], [role=option]";

/** Whether a key pressed there is the stage's: not where one writes, not on what uses that key itself, not behind a dialog. */
export function isForStage(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof Element)) return true;
  if (target.closest("dialog, [role=dialog][aria-modal=true]") ?? document.querySelector("dialog[open]")) return false;
  if (target.closest(WRITES)) return false;
  if (target instanceof HTMLInputElement && !NO_TEXT.has(target.type)) return false;
  if (key === " ") return !target.closest(USES_SPACE);
  if (key.startsWith("Arrow")) return !target.closest(USES_ARROWS);
  return true;
}
