import { useEffect } from "react";
import { isFreeKey } from "../ui/freeKeys";
import { useSession } from "./session";

const isMac = () => /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** Carries out commands by their keys, unless a person is typing or the key means something where they are. */
export function useKeys(): void {
  const { commands } = useSession();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || event.repeat) return;
      const command = commands.store
        .get()
        .findLast(({ shortcut, listensItself }) => shortcut && !listensItself && fits(event, shortcut));
      // With Ctrl or Cmd a key means the same wherever one is.
      const everywhere = command?.shortcut?.startsWith("Mod+");
      if (!command || (!everywhere && !isFreeKey(event.target, event.key))) return;
      event.preventDefault();
      command.run();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [commands]);
}

/** Whether this is the key of the shortcut. Letters and named keys want Shift said; for signs it depends on the keyboard. */
export function fits(event: KeyboardEvent, shortcut: string, mac = isMac()): boolean {
  const parts = shortcut.split("+");
  const key = parts.at(-1) || "+";
  const [mod, other] = mac ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  if (other || event.altKey || mod !== parts.includes("Mod")) return false;
  const isSign = key.length === 1 && !/[a-z]/i.test(key);
  if (!isSign && event.shiftKey !== parts.includes("Shift")) return false;
  const pressed = event.key === " " ? "Space" : event.key;
  return pressed.toLowerCase() === key.toLowerCase();
}

const NAMES: Readonly<Record<string, string>> = {
  ArrowUp: "↑",
  ArrowDown: "↓",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
};

/** The keys of a shortcut as they are written on them. */
export function keyNames(shortcut: string, mac = isMac()): string[] {
  return shortcut.split("+").map((part) => {
    if (part === "Mod") return mac ? "⌘" : "Ctrl";
    return NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part || "+");
  });
}
