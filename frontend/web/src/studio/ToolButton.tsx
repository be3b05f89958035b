import type { ReactNode } from "react";
import styles from "./ToolButton.module.css";

interface ToolButtonProps {
  readonly icon: ReactNode;
  readonly label: string;
  /** The key that does the same, as it is written on it. */
  readonly shortcut?: string;
  /** For what is on or off. */
  readonly pressed?: boolean;
  /** For what opens something. */
  readonly expanded?: boolean;
  readonly disabled?: boolean;
  /** On phones it is in the menu instead. */
  readonly roomy?: boolean;
  readonly testId: string;
  readonly onClick: () => void;
}

/** A button of the stage: an icon, with its name and key beside the pointer. */
export function ToolButton(props: ToolButtonProps) {
  const { icon, label, shortcut, pressed, expanded, disabled, roomy, testId, onClick } = props;
  const on = pressed || expanded;
  return (
    <button
      type="button"
      className={[styles.button, on ? styles.on : "", roomy ? styles.roomy : ""].join(" ")}
      aria-label={label}
      aria-pressed={pressed}
      aria-expanded={expanded}
      aria-keyshortcuts={shortcut}
      disabled={disabled}
      onClick={onClick}
      data-testid={testId}
    >
      {icon}
      {/* Written by the style sheet, as it is the button's name already and no text in it. */}
      <span className={styles.tip} aria-hidden="true" data-label={label}>
        {shortcut && <kbd data-key={shortcut} />}
      </span>
    </button>
  );
}
