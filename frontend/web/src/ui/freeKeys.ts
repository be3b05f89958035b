const WRITES = "textarea, select, [contenteditable]:not([contenteditable=false]), .cm-editor";
const NO_TEXT = new Set(["range", "checkbox", "radio", "button", "submit", "file", "color"]);
const PRESSED = "button, a, summary, input, [role=button], [role=menuitem], [role=tab], [role=option]";
const USES_ARROWS = "input, [role=slider], [role=tab], [role=tablist], [role=menu], [role=listbox], [role=option]";

/** Whether a key pressed there is free for the page's shortcuts: not where one writes, not on what uses that key itself, not behind a dialog. */
export function isFreeKey(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof Element)) return true;
  if (target.closest("dialog, [role=dialog][aria-modal=true]") ?? document.querySelector("dialog[open]")) return false;
  if (target.closest(WRITES)) return false;
  if (target instanceof HTMLInputElement && !NO_TEXT.has(target.type)) return false;
  if (key === " " || key === "Enter") return !target.closest(PRESSED);
  if (key.startsWith("Arrow") || key === "Home" || key === "End") return !target.closest(USES_ARROWS);
  return true;
}
