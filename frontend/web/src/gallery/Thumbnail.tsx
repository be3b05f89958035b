import { useState } from "react";
import type { Artifact } from "../gen/tabrl/type/v1/artifact_pb";
import { artifactUrl } from "../rpc/artifacts";
import styles from "./Thumbnail.module.css";

interface ThumbnailProps {
  readonly artifact: Artifact | undefined;
  readonly eager?: boolean;
}

/** A picture of a scene in a box of its size; without a picture the box stays. The text beside it says what it shows. */
export function Thumbnail({ artifact, eager = false }: ThumbnailProps) {
  const [failed, setFailed] = useState(false);
  return (
    <figure className={styles.box}>
      {artifact && !failed && (
        <img
          src={artifactUrl(artifact)}
          width={480}
          height={360}
          alt=""
          loading={eager ? "eager" : "lazy"}
          decoding="async"
          onError={() => setFailed(true)}
        />
      )}
    </figure>
  );
}
