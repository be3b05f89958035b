import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import styles from "./Popover.module.css";

interface PopoverProps {
  /** What a screen reader calls the button, and what opens. */
  readonly label: string;
  /** What is in the button. */
  readonly face: ReactNode;
  readonly testId?: string;
  readonly children: ReactNode;
}

/** A button that opens a small panel below it; Escape, a click elsewhere or leaving it by keyboard closes the panel. */
export function Popover({ label, face, testId, children }: PopoverProps) {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();

  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !place.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);

  function onKeyDown(event: React.KeyboardEvent) {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    setOpen(false);
    button.current?.focus();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only Escape is heard, from whatever inside has the focus
    <div ref={place} className={styles.place} onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        className={styles.button}
        aria-label={label}
        aria-expanded={open}
        aria-controls={open ? panel : undefined}
        title={label}
        onClick={() => setOpen(!open)}
        data-testid={testId}
      >
        {face}
      </button>
      {open && (
        <section id={panel} className={styles.panel} aria-label={label}>
          {children}
        </section>
      )}
    </div>
  );
}
