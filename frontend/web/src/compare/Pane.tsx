import { type DragEvent, type ReactNode, useState } from "react";
import { Link } from "../app/Link";
import { policyTitle, practice } from "../policies/policyTitle";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { BackIcon, CloseIcon, NextIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import { laneColor, laneLetter, withLaneMoved, withoutLane } from "./lanes";
import type { LiveLanes } from "./live";
import styles from "./Pane.module.css";
import { PaneTerms } from "./PaneTerms";
import type { Lane } from "./useComparison";

/** What a dragged pane carries. */
const DRAGGED = "application/x-tabrl-lane";

interface PaneProps {
  readonly lane: Lane;
  readonly ids: readonly string[];
  readonly lanes: number;
  readonly live: LiveLanes;
  /** Why its policy does not drive; empty when it does. */
  readonly problem: string;
  /** Its robot; null while there is none. */
  readonly stage: ReactNode;
  /** Whether its robot is on screen. */
  readonly ready: boolean;
  readonly onChange: (ids: readonly string[]) => void;
}

/** One robot of a comparison: what it is, how it does, and what it earns at this moment. */
export function Pane({ lane, ids, lanes, live, problem, stage, ready, onChange }: PaneProps) {
  const { place, policy, failure, foreign, policyId } = lane;
  const leads = useStore(live.leader) === place;
  const [over, setOver] = useState(false);
  const letter = laneLetter(place);
  const title = policy ? policyTitle(policy) : failure ? "Not here" : "Loading";
  const remove = () => onChange(withoutLane(ids, place));

  function drop(event: DragEvent) {
    setOver(false);
    const from = event.dataTransfer.getData(DRAGGED);
    if (!from) return;
    event.preventDefault();
    onChange(withLaneMoved(ids, Number(from), place));
  }

  return (
    <article
      className={`${styles.pane} ${leads ? styles.leads : ""} ${over ? styles.over : ""}`}
      style={{ "--lane": laneColor(place) } as React.CSSProperties}
      aria-label={`${letter}: ${title}`}
      data-testid="lane"
      data-policy-id={policyId}
      data-leads={leads}
      onDragStart={(event) => event.dataTransfer.setData(DRAGGED, String(place))}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(DRAGGED)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <header className={styles.head} draggable={lanes > 1}>
        <span className={styles.letter} aria-hidden="true">
          {letter}
        </span>
        <h2 className={styles.title}>
          {policy ? (
            <Link to={{ environmentId: policy.environmentId, runId: policy.runId, policyId }} title={title}>
              {title}
            </Link>
          ) : (
            title
          )}
          {policy && <small className="number">{practice(policy)}</small>}
        </h2>
        <div className={styles.tools}>
          {lanes > 1 && (
            <>
              <Button
                variant="quiet"
                size="small"
                className={styles.move}
                icon={<BackIcon />}
                aria-label={`Move ${letter} back`}
                title="Move back"
                disabled={place === 0}
                onClick={() => onChange(withLaneMoved(ids, place, place - 1))}
                data-testid="lane-back"
              />
              <Button
                variant="quiet"
                size="small"
                className={styles.move}
                icon={<NextIcon />}
                aria-label={`Move ${letter} on`}
                title="Move on"
                disabled={place === lanes - 1}
                onClick={() => onChange(withLaneMoved(ids, place, place + 1))}
                data-testid="lane-on"
              />
            </>
          )}
          <Button
            variant="quiet"
            size="small"
            icon={<CloseIcon />}
            aria-label={`Remove ${letter}`}
            title="Remove"
            onClick={remove}
            data-testid="lane-remove"
          />
        </div>
      </header>
      <div className={styles.body}>
        <div className={styles.stage}>
          {stage}
          {!ready && !(failure && !policy) && !foreign && (
            <p className={styles.loading}>
              <span className={styles.spinner} aria-hidden="true" />
              Setting up
            </p>
          )}
          {failure && !policy && (
            <div className={styles.notice}>
              <FailureNotice failure={failure} wayOn={{ label: "Remove it", take: remove }} />
            </div>
          )}
          {foreign && (
            <Unplayable tone="warn" title="It drives another robot" onRemove={remove}>
              Only policies of one robot and task can be compared.
            </Unplayable>
          )}
          {problem && (
            <Unplayable tone="danger" title="This policy could not be loaded" onRemove={remove}>
              {problem}
            </Unplayable>
          )}
        </div>
        {!(failure && !policy) && !foreign && <PaneTerms live={live} place={place} />}
      </div>
    </article>
  );
}

interface UnplayableProps {
  readonly tone: "warn" | "danger";
  readonly title: string;
  readonly children: string;
  readonly onRemove: () => void;
}

/** Why a policy does not drive its robot. */
function Unplayable({ tone, title, children, onRemove }: UnplayableProps) {
  const remove = (
    <Button size="small" onClick={onRemove}>
      Remove it
    </Button>
  );
  return (
    <div className={styles.notice}>
      <Notice tone={tone} title={title} action={remove}>
        <p>{children}</p>
      </Notice>
    </div>
  );
}
