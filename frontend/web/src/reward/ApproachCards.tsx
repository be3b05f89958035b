import { useEffect, useId, useRef } from "react";
import { useSession } from "../app/session";
import { formatAnswerCost, upperFirst } from "../format/format";
import type { Reward } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";
import { violationOf } from "../rpc/failure";
import { remedyFor } from "../rpc/remedies";
import { type Approach, useApproaches } from "../stores/approaches";
import type { StudioState } from "../studio/useStudio";
import { TIER_LABELS } from "../training/tiers";
import { Button } from "../ui/Button";
import { bringIntoView } from "../ui/bringIntoView";
import { CheckIcon, CloseIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./ApproachCards.module.css";
import { WorthBar } from "./WorthBar";

/** Several rewards for the same words, each as it comes; choosing one takes it on. */
export function ApproachCards({ studio }: { readonly studio: StudioState }) {
  const { approaches: writer } = useSession();
  const set = useApproaches(writer, studio.environmentId);
  const headingId = useId();
  const section = useRef<HTMLElement>(null);
  const begun = set.status === "working" && set.approaches.length > 0;
  // They are what was asked for, so they are seen to come.
  useEffect(() => {
    if (begun) bringIntoView(section.current);
  }, [begun]);
  if (set.status === "idle") return null;
  const failure = set.failure && !violationOf(set.failure, "prompt") ? set.failure : undefined;
  const working = set.status === "working";
  const failed = !working && set.approaches.some(({ status }) => status === "failed");
  const sealed = set.approaches.filter(({ status }) => status === "sealed").length;
  return (
    <section
      ref={section}
      className={styles.approaches}
      aria-labelledby={headingId}
      data-testid="approaches"
      data-status={set.status}
    >
      {set.approaches.length > 0 && (
        <>
          <div className={styles.head}>
            <h3 id={headingId}>{working ? "Writing three approaches" : "Choose an approach"}</h3>
            <Button
              variant="quiet"
              size="small"
              icon={<CloseIcon />}
              aria-label="Put the approaches away"
              title="Put the approaches away"
              onClick={() => writer.clear()}
              data-testid="close-approaches"
            />
          </div>
          <p className={styles.prompt}>{set.prompt}</p>
          <ul className={styles.cards} aria-live="polite">
            {set.approaches.map((approach) => (
              <Card
                key={approach.number}
                approach={approach}
                used={approach.reward !== undefined && approach.reward.rewardId === studio.rewardId}
                onUse={(reward) => studio.adoptReward(reward)}
              />
            ))}
          </ul>
        </>
      )}
      {failed && sealed > 0 && (
        <Button
          size="small"
          className={styles.again}
          onClick={() => void writer.retry()}
          data-testid="retry-approaches"
        >
          Write what failed again
        </Button>
      )}
      {failure && <FailureNotice failure={failure} onRetry={() => void writer.retry()} />}
    </section>
  );
}

interface CardProps {
  readonly approach: Approach;
  readonly used: boolean;
  readonly onUse: (reward: Reward) => void;
}

function Card({ approach, used, onUse }: CardProps) {
  const { number, status, reward, sameAs, failure } = approach;
  return (
    <li
      className={`${styles.card} ${styles[status]} ${used ? styles.used : ""}`}
      data-testid="approach"
      data-status={status}
      data-used={used}
    >
      {reward ? (
        <Sealed reward={reward} number={number} used={used} onUse={onUse} />
      ) : status === "working" ? (
        <Working approach={approach} />
      ) : (
        <>
          <h4>Approach {number}</h4>
          {status === "same" ? (
            <p>It came out the same as approach {sameAs}, so it is left out.</p>
          ) : (
            <p>
              It came to nothing: {failure?.message} {failure && remedyFor(failure.reason, "", {})}
            </p>
          )}
        </>
      )}
    </li>
  );
}

function Working({ approach: { number, message, source, repairs } }: { readonly approach: Approach }) {
  const lines = source.split("\n").length - 1;
  return (
    <>
      <h4>Approach {number}</h4>
      <p className={styles.stage}>
        {upperFirst(message || "waits for its turn")}
        {lines > 0 && `, ${lines} ${lines === 1 ? "line" : "lines"} so far`}
        {repairs > 0 && `, sent back ${repairs === 1 ? "once" : `${repairs} times`}`}
      </p>
      <span className={styles.pulse} aria-hidden="true" />
    </>
  );
}

interface SealedProps {
  readonly reward: Reward;
  readonly number: number;
  readonly used: boolean;
  readonly onUse: (reward: Reward) => void;
}

function Sealed({ reward, number, used, onUse }: SealedProps) {
  const { name, expectedBehaviour, explanation, tier, terms, leftOut, usage } = reward;
  const weights = Object.fromEntries(terms.map(({ name: term, weight }) => [term, weight]));
  const title = name || `Approach ${number}`;
  const facts = [
    tier ? TIER_LABELS[tier.tier] : "",
    `${terms.length} ${terms.length === 1 ? "part" : "parts"}`,
    usage?.costUsd === undefined ? "" : `cost ${formatAnswerCost(usage.costUsd)}`,
  ];
  return (
    <>
      <div className={styles.title}>
        <h4>{title}</h4>
        <Button
          size="small"
          variant={used ? "quiet" : "secondary"}
          icon={used ? <CheckIcon /> : undefined}
          aria-pressed={used}
          aria-label={used ? `${title} is in use` : `Use ${title}`}
          onClick={() => onUse(reward)}
          data-testid="use-approach"
        >
          {used ? "In use" : "Use this"}
        </Button>
      </div>
      <p>{expectedBehaviour || explanation}</p>
      <WorthBar terms={terms} weights={weights} legend />
      {leftOut.length > 0 && <p className={styles.leftOut}>Leaves out: {leftOut.join("; ")}.</p>}
      <p className={styles.facts} title={tier?.reason}>
        {facts.filter((fact) => fact !== "").join(" · ")}
      </p>
    </>
  );
}
