import { useId } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { formatAgo, formatCount } from "../format/format";
import type { PolicyVersion, RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";
import { policyTitle } from "../policies/policyTitle";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { ChevronIcon, PlayIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { ImportedMark, Measured, ParityBadge } from "./Badges";
import { Notes } from "./Notes";
import { RobustnessBadge } from "./Robust";
import { type Slot, versionKey } from "./slots";
import styles from "./VersionCard.module.css";
import { VersionDetails } from "./VersionDetails";
import { newestMeasurement } from "./verdict";

interface VersionCardProps {
  readonly registered: RegisteredPolicy;
  readonly version: PolicyVersion;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  /** Where it is among the two that are compared. */
  readonly slot: Slot | "";
  readonly canCompare: boolean;
  readonly onSlot: (slot: Slot) => void;
  /** The version it is most likely held against. */
  readonly neighbour: PolicyVersion | undefined;
}

/** A version: what it is in two lines, and everything else on request. */
export function VersionCard({
  registered,
  version,
  open,
  onOpen,
  slot,
  canCompare,
  onSlot,
  neighbour,
}: VersionCardProps) {
  const { deletions } = useSession();
  const { name, tags } = registered;
  const { number, policy, createTime } = version;
  const failure = useStore(deletions.failures).get(versionKey(name, number));
  const panel = useId();
  if (!policy) return null;
  const { environmentId, runId, policyId } = policy;
  const title = policyTitle(policy);
  return (
    <article
      className={`${styles.card} ${slot ? styles.chosen : ""}`}
      aria-label={`Version ${number}`}
      data-testid={`version-${number}`}
    >
      <div className={styles.head}>
        <p className={`${styles.number} number`}>{number}</p>
        <div className={styles.what}>
          <h3 title={title}>{title}</h3>
          <p className={styles.facts}>
            <span className="number">{formatCount(policy.envSteps)} steps of practice</span>
            <span>registered {formatAgo(createTime, Date.now())}</span>
          </p>
          <p className={styles.marks}>
            <ParityBadge policy={policy} />
            <RobustnessBadge policy={policy} />
            {policy.imported && <ImportedMark />}
            {tags
              .filter((each) => each.number === number)
              .map(({ tag }) => (
                <span key={tag} className={styles.tag} title={tag}>
                  {tag}
                </span>
              ))}
          </p>
        </div>
        <div className={styles.measured}>
          <Measured measured={newestMeasurement(policy)} />
        </div>
        <div className={styles.actions}>
          {canCompare && (
            <fieldset className={styles.slots}>
              <legend className="hidden-visually">Compare version {number} as</legend>
              {(["A", "B"] as const).map((letter) => (
                <button
                  key={letter}
                  type="button"
                  aria-pressed={slot === letter}
                  aria-label={`Version ${number} as ${letter}`}
                  onClick={() => onSlot(letter)}
                  data-testid={`slot-${letter}-${number}`}
                >
                  {letter}
                </button>
              ))}
            </fieldset>
          )}
          <Link to={{ environmentId, runId, policyId }} className={styles.play} data-testid={`play-${number}`}>
            <PlayIcon />
            Play
          </Link>
          <Button
            size="small"
            variant="quiet"
            icon={<ChevronIcon />}
            className={open ? styles.turned : ""}
            aria-expanded={open}
            aria-controls={panel}
            onClick={() => onOpen(!open)}
            data-testid={`details-${number}`}
          >
            Details
          </Button>
        </div>
      </div>
      {(version.notes || open) && <Notes name={name} version={version} />}
      {failure && <FailureNotice failure={failure} onDismiss={() => deletions.dismiss(versionKey(name, number))} />}
      <div id={panel} hidden={!open}>
        {open && <VersionDetails name={name} version={version} policy={policy} neighbour={neighbour} />}
      </div>
    </article>
  );
}
