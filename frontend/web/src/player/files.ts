import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import type { ControllerFiles, SceneFiles } from "./protocol";

/** Names a scene's files as the worker wants them. */
export function sceneFilesOf({ environmentId, xml, assets }: SceneBundle): SceneFiles {
  return {
    environmentId,
    xml: { sha256: xml?.sha256 ?? "" },
    assets: assets.map(({ path, artifact }) => ({ path, file: { sha256: artifact?.sha256 ?? "" } })),
  };
}

/** Names a policy's files; null for none, and for one that drives another environment than the scene's. */
export function controllerFilesOf(policy: Policy | null | undefined, bundle: SceneBundle): ControllerFiles | null {
  if (!policy?.controller || !policy.manifest || policy.environmentId !== bundle.environmentId) return null;
  return {
    environmentId: policy.environmentId,
    graph: { sha256: policy.controller.sha256 },
    manifest: { sha256: policy.manifest.sha256 },
  };
}
