import { type RefObject, useEffect } from "react";

interface TypedMeanwhileProps {
  readonly typed: RefObject<string>;
  readonly onClose: () => void;
}

/** Keeps what is typed between asking for the palette and having it, on a slow line or a busy machine. */
export function TypedMeanwhile({ typed, onClose }: TypedMeanwhileProps) {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") onClose();
      else if (event.key === "Backspace") typed.current = typed.current.slice(0, -1);
      else if ([...event.key].length === 1) typed.current += event.key;
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    window.addEventListener("keydown", press, { capture: true });
    return () => window.removeEventListener("keydown", press, { capture: true });
  }, [typed, onClose]);
  return null;
}
