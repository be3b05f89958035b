import { Link } from "../app/Link";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import styles from "./EnvironmentCard.module.css";
import { Thumbnail } from "./Thumbnail";

interface EnvironmentCardProps {
  readonly environment: EnvironmentSummary;
  /** Whether the picture is on the first screen and loads at once. */
  readonly eager: boolean;
}

export function EnvironmentCard({ environment, eager }: EnvironmentCardProps) {
  const { environmentId, title, description, actuatorCount, thumbnail, robotMissing } = environment;
  return (
    <Link to={{ environmentId }} className={styles.card} data-testid={`env-card-${environmentId}`}>
      <Thumbnail artifact={thumbnail} eager={eager} />
      <h3>{title}</h3>
      <p className={styles.description}>{description}</p>
      <p className={styles.facts}>
        {robotMissing
          ? "The robot is still to be downloaded"
          : `${actuatorCount} ${actuatorCount === 1 ? "motor" : "motors"}`}
      </p>
    </Link>
  );
}
