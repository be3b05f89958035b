import type { ReactNode } from "react";
import styles from "./Pill.module.css";

interface PillProps {
  readonly tone?: "neutral" | "live" | "good" | "danger";
  readonly children: ReactNode;
  readonly testId?: string;
  readonly state?: string;
}

/** A short state in a rounded box; a live one breathes. */
export function Pill({ tone = "neutral", children, testId, state }: PillProps) {
  return (
    <span className={`${styles.pill} ${styles[tone]}`} data-testid={testId} data-state={state}>
      <span className={styles.dot} aria-hidden="true" />
      {children}
    </span>
  );
}
