import { type ReactNode, useId } from "react";
import { CheckIcon } from "../ui/icons";
import styles from "./Step.module.css";

/** Where a step stands: not reachable yet, to be done now, or done. */
export type StepState = "later" | "now" | "done";

interface StepProps {
  readonly number: number;
  readonly title: string;
  readonly state: StepState;
  /** One or two sentences for someone who has never heard of it. */
  readonly intro?: ReactNode;
  readonly aside?: ReactNode;
  readonly children?: ReactNode;
}

/** One of the four steps, on the line that joins them. */
export function Step({ number, title, state, intro, aside, children }: StepProps) {
  const id = useId();
  return (
    <section className={`${styles.step} ${styles[state]}`} aria-labelledby={id}>
      <span className={styles.mark} aria-hidden="true">
        {state === "done" ? <CheckIcon /> : number}
      </span>
      <div className={styles.head}>
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      {intro && <p className={styles.intro}>{intro}</p>}
      {children && <div className={styles.body}>{children}</div>}
    </section>
  );
}
