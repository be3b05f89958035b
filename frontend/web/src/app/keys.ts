import { useEffect } from "react";
import { useCommands } from "../stores/commands";

const isMac = () => /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** Carries out commands by their keys, unless a person is typing or the key means something where they are. */
export function useKeys(): void {
  const commands = useCommands();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      const command = commands.store
        .get()
        .findLast(({ shortcut, listensItself }) => shortcut && !listensItself && fits(event, shortcut));
      if (!command?.shortcut || isTaken(event, command.shortcut)) return;
      event.preventDefault();
      // A key that is held down switches nothing to and fro.
      if (!event.repeat || command.repeats) command.run();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [commands]);
}

/** Whether this is the key of the shortcut. Letters and named keys want Shift said; for signs it depends on the keyboard. */
export function fits(event: KeyboardEvent, shortcut: string, mac = isMac()): boolean {
  const parts = partsOf(shortcut);
  const key = parts.at(-1) ?? "";
  const [mod, other] = mac ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  if (other || event.altKey || mod !== parts.includes("Mod")) return false;
  const isSign = key.length === 1 && !/[a-z]/i.test(key);
  if (!isSign && event.shiftKey !== parts.includes("Shift")) return false;
  const pressed = event.key === " " ? "Space" : event.key;
  return pressed.toLowerCase() === key.toLowerCase();
}

/** Whether the key belongs to what has the focus, or to a dialogue above the page. */
function isTaken({ target, key }: KeyboardEvent, shortcut: string): boolean {
  return !shortcut.startsWith("Mod+") && !isFree(target, key);
}

const WRITES = "textarea, select, [contenteditable]:not([contenteditable=false]), .cm-editor";
const NO_TEXT = new Set(["range", "checkbox", "radio", "button", "submit", "file", "color"]);
const PRESSED_BY_KEY = "button, a[href], summary, input, [role=button], [role=menuitem], [role=tab], [role=option]";
const MOVED_BY_KEY = "input, [role=slider], [role=tab], [role=tablist], [role=menu], [role=listbox], [role=option]";

/** Whether a key pressed there is the page's: not where one writes, not on what uses that key itself, not behind a dialogue. */
export function isFree(target: EventTarget | null, key: string): boolean {
  if (document.querySelector("dialog[open]")) return false;
  if (!(target instanceof Element)) return true;
  if (target.closest("[role=dialog][aria-modal=true]") ?? target.closest(WRITES)) return false;
  if (target instanceof HTMLInputElement && !NO_TEXT.has(target.type)) return false;
  if (key === " " || key === "Enter") return !target.closest(PRESSED_BY_KEY);
  if (key.startsWith("Arrow") || key === "Home" || key === "End") return !target.closest(MOVED_BY_KEY);
  return true;
}

const NAMES: Readonly<Record<string, string>> = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  "-": "−",
};

/** The keys of a shortcut as they are written on them. */
export function keyNames(shortcut: string, mac = isMac()): string[] {
  return partsOf(shortcut).map((part) => {
    if (part === "Mod") return mac ? "⌘" : "Ctrl";
    return NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  });
}

/** The keys that a shortcut joins by "+"; the last may be that sign itself. */
function partsOf(shortcut: string): string[] {
  const parts = shortcut.split("+");
  return shortcut.endsWith("+") ? [...parts.slice(0, -2), "+"] : parts;
}
