import { Link } from "../app/Link";
import { formatAgo } from "../format/format";
import { Thumbnail } from "../gallery/Thumbnail";
import type { RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import { LATEST } from "../stores/registry";
import { ImportedMark, Measured, ParityBadge } from "./Badges";
import styles from "./NameCard.module.css";
import { newestMeasurement } from "./verdict";

interface NameCardProps {
  readonly registered: RegisteredPolicy;
  readonly environment: EnvironmentSummary | undefined;
  /** Whether the picture is on the first screen and loads at once. */
  readonly eager: boolean;
}

const SHOWN_TAGS = 2;

/** A name with its newest version, as a link to all of them. */
export function NameCard({ registered, environment, eager }: NameCardProps) {
  const { name, versions, tags, environmentId, updateTime } = registered;
  const newest = versions[0];
  const policy = newest?.policy;
  const set = tags.filter(({ tag }) => tag !== LATEST);
  return (
    <Link to={{ view: "policies", name }} className={styles.card} data-testid={`name-card-${name}`}>
      <Thumbnail artifact={environment?.thumbnail} eager={eager} />
      <div className={styles.text}>
        <h3 title={name}>{name}</h3>
        <p className={styles.facts}>
          <span>version {newest?.number}</span>
          <span>{environment?.title ?? environmentId}</span>
          <span>{formatAgo(updateTime, Date.now())}</span>
        </p>
        <Measured measured={newestMeasurement(policy)} />
        <p className={styles.marks}>
          <ParityBadge policy={policy} />
          {policy?.imported && <ImportedMark />}
          {set.slice(0, SHOWN_TAGS).map(({ tag, number }) => (
            <span key={tag} className={styles.tag} title={`${tag} is version ${number}`}>
              {tag}
            </span>
          ))}
          {set.length > SHOWN_TAGS && (
            <span className={styles.more} title={set.map(({ tag }) => tag).join(", ")}>
              {set.length - SHOWN_TAGS} more
            </span>
          )}
        </p>
      </div>
    </Link>
  );
}
