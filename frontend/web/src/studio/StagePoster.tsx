import { Thumbnail } from "../gallery/Thumbnail";
import type { Artifact } from "../gen/tabrl/type/v1/artifact_pb";
import styles from "./StagePoster.module.css";

interface StagePosterProps {
  readonly thumbnail: Artifact | undefined;
  readonly shown: boolean;
}

/** The robot's picture where the robot is about to stand, so that the stage is never empty; it gives way to the robot. */
export function StagePoster({ thumbnail, shown }: StagePosterProps) {
  return (
    <div className={styles.poster} data-shown={shown || undefined} aria-hidden="true">
      <Thumbnail artifact={thumbnail} eager />
    </div>
  );
}
