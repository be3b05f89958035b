import { Link } from "../app/Link";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import styles from "./EnvironmentCard.module.css";
import { Thumbnail } from "./Thumbnail";
import { useHeadStart } from "./useHeadStart";

interface EnvironmentCardProps {
  readonly environment: EnvironmentSummary;
  /** Names of policies that can drive it; empty for policies without a name, undefined for none. */
  readonly policyNames: readonly string[] | undefined;
  /** Whether the picture is on the first screen and loads at once. */
  readonly eager: boolean;
}

export function EnvironmentCard({ environment, policyNames, eager }: EnvironmentCardProps) {
  const { environmentId, title, description, thumbnail } = environment;
  const about = useHeadStart(environmentId);
  return (
    <Link {...about} to={{ environmentId }} className={styles.card} data-testid={`env-card-${environmentId}`}>
      <div className={styles.picture}>
        <Thumbnail artifact={thumbnail} eager={eager} />
        {policyNames && (
          <span className={styles.trained} title={policyNames.join(", ") || undefined} data-testid="trained">
            {policyNames.length > 0 ? shortNames(policyNames) : "Trained"}
          </span>
        )}
      </div>
      <h3>{title}</h3>
      <p className={styles.description}>{description}</p>
      <p className={styles.facts}>{factsOf(environment)}</p>
    </Link>
  );
}

function shortNames([first, ...others]: readonly string[]): string {
  return others.length > 0 ? `${first} +${others.length}` : `${first}`;
}

/** How large the robot is, and under which licence it may be used. */
function factsOf({ robotMissing, actuatorCount, dofCount, licences }: EnvironmentSummary): string {
  if (robotMissing) return "The robot is still to be downloaded";
  const motors = `${actuatorCount} ${actuatorCount === 1 ? "motor" : "motors"}`;
  const freedom = dofCount > 0 ? [`${dofCount} ${dofCount === 1 ? "way" : "ways"} to move`] : [];
  return [motors, ...freedom, licences.join(", ")].filter(Boolean).join(" · ");
}
