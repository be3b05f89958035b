import { useEffect } from "react";

interface TypedMeanwhileProps {
  readonly onType: (change: (before: string) => string) => void;
  readonly onClose: () => void;
}

/** Takes what is typed between asking for the palette and its box having the focus, on a slow line or a busy machine. */
export function TypedMeanwhile({ onType, onClose }: TypedMeanwhileProps) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof Element && event.target.closest("dialog[open]")) return;
      if (event.key === "Escape") onClose();
      else if (event.key === "Backspace") onType((before) => before.slice(0, -1));
      else if ([...event.key].length === 1) onType((before) => before + event.key);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    window.addEventListener("keydown", press, { capture: true });
    return () => window.removeEventListener("keydown", press, { capture: true });
  }, [onType, onClose]);
  return null;
}
