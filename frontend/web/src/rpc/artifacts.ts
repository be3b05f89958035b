import type { Artifact } from "../gen/tabrl/type/v1/artifact_pb";

/** Where the gateway serves an artifact's bytes. */
export function artifactUrl(artifact: Artifact): string {
  return `/artifacts/${artifact.sha256}`;
}
