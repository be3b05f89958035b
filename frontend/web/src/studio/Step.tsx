import { type ReactNode, useEffect, useId, useRef } from "react";
import { bringIntoView } from "../ui/bringIntoView";
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
  /** The step comes into view when this changes, except at first. */
  readonly reveal?: string;
  readonly children?: ReactNode;
}

/** One of the four steps, on the line that joins them. */
export function Step({ number, title, state, intro, aside, reveal = "", children }: StepProps) {
  const id = useId();
  const section = useRef<HTMLElement>(null);
  const seen = useRef(reveal);
  useEffect(() => {
    if (seen.current === reveal) return;
    seen.current = reveal;
    if (reveal) bringIntoView(section.current, "start");
  }, [reveal]);

  return (
    <section ref={section} className={`${styles.step} ${styles[state]}`} aria-labelledby={id}>
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
