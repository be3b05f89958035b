import { type ReactNode, useEffect, useState } from "react";
import type { Failure } from "../rpc/failure";
import { Button } from "./Button";
import { AlertIcon } from "./icons";
import styles from "./Notice.module.css";

interface NoticeProps {
  readonly tone: "danger" | "warn" | "info";
  readonly title?: string;
  readonly children?: ReactNode;
  readonly action?: ReactNode;
  readonly testId?: string;
}

/** A boxed remark beside what it concerns. */
export function Notice({ tone, title, children, action, testId }: NoticeProps) {
  return (
    <div
      className={`${styles.notice} ${styles[tone]}`}
      role={tone === "danger" ? "alert" : undefined}
      data-testid={testId}
    >
      {tone !== "info" && (
        <span className={styles.icon}>
          <AlertIcon />
        </span>
      )}
      <div className={styles.body}>
        {title && <p className={styles.title}>{title}</p>}
        {children}
      </div>
      {action && <div className={styles.action}>{action}</div>}
    </div>
  );
}

interface FailureNoticeProps {
  readonly failure: Failure;
  /** Offered as “Try again”; for a failure that passes, also a countdown when the service named a delay. */
  readonly onRetry?: () => void;
  /** A way on for a failure that does not pass, such as leaving out what is not to be found. */
  readonly wayOn?: { readonly label: string; readonly take: () => void };
  /** Offered as “Dismiss” where nothing else is: for what is not tried again by itself, so that its failure would stay. */
  readonly onDismiss?: () => void;
}

/** A failed call: what happened in the service's words, then what to do. */
export function FailureNotice({ failure, onRetry, wayOn, onDismiss }: FailureNoticeProps) {
  const waitSecs = useCountdown(failure);
  const mayHelp = failure.transient || failure.status === "INTERNAL" || failure.status === "UNKNOWN";
  const [title = "", rest = ""] = headAndRest(failure.message);
  const details = failure.fields.filter(({ description }) => !failure.message.includes(description));
  return (
    <Notice
      tone="danger"
      testId="error"
      title={title}
      action={
        mayHelp && onRetry ? (
          <Button size="small" onClick={onRetry} disabled={waitSecs > 0}>
            {waitSecs > 0 ? `Try again in ${waitSecs} s` : "Try again"}
          </Button>
        ) : wayOn && !mayHelp ? (
          <Button size="small" onClick={wayOn.take}>
            {wayOn.label}
          </Button>
        ) : (
          onDismiss && (
            <Button size="small" onClick={onDismiss}>
              Dismiss
            </Button>
          )
        )
      }
    >
      {rest && <p>{rest}</p>}
      {details.length > 0 && (
        <ul className={styles.details}>
          {details.map(({ field, description }) => (
            <li key={`${field} ${description}`}>
              <code>{field}</code> {description}
            </li>
          ))}
        </ul>
      )}
      {failure.remedy && <p>{failure.remedy}</p>}
      {failure.metadata.provider_error && <p className={styles.quote}>{failure.metadata.provider_error}</p>}
    </Notice>
  );
}

/** The first sentence, which is set in bold, and what follows it. */
function headAndRest(message: string): string[] {
  const end = message.search(/[.!?]\s/);
  return end < 0 ? [message] : [message.slice(0, end + 1), message.slice(end + 1).trim()];
}

function useCountdown(failure: Failure): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    let secs = Math.ceil(failure.retryAfterSecs ?? 0);
    setLeft(secs);
    if (secs === 0) return;
    const timer = setInterval(() => {
      secs -= 1;
      setLeft(secs);
      if (secs <= 0) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [failure]);
  return Math.max(0, left);
}
