import { create } from "@bufbuild/protobuf";
import type { ControllerManifest } from "../gen/tabrl/exporter/v1/manifest_pb";
import { type SceneBundle, SceneBundleSchema } from "../gen/tabrl/scene/v1/scene_pb";
import { type ArtifactSource, artifactSource } from "./artifacts";
import { parseManifest } from "./controller/wiring";

/** A manifest, and the scene that it names as the stage wants it. */
export interface ManifestScene {
  readonly manifest: ControllerManifest;
  readonly bundle: SceneBundle;
}

/**
 * Reads the manifest with this digest, from the gateway if nothing else is named.
 *
 * @throws PlayerError ARTIFACT_MISSING, ARTIFACT_UNREACHABLE, DIGEST_MISMATCH, MANIFEST_INVALID
 */
export async function readManifestScene(
  sha256: string,
  source: ArtifactSource = artifactSource(),
): Promise<ManifestScene> {
  const manifest = parseManifest(new TextDecoder().decode(await source.read(sha256)));
  const { environmentId, sceneXml, sceneAssets, mujocoVersion } = manifest;
  const bundle = create(SceneBundleSchema, {
    environmentId,
    mujocoVersion,
    assets: sceneAssets.map(({ path, artifact }) => ({ path, ...(artifact && { artifact }) })),
    ...(sceneXml && { xml: sceneXml }),
  });
  return { manifest, bundle };
}
