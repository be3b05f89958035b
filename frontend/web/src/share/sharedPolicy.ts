import { fromJsonString } from "@bufbuild/protobuf";
import { type Policy, PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { ControllerManifest } from "../gen/tabrl/exporter/v1/manifest_pb";
import type { SceneBundle } from "../gen/tabrl/scene/v1/scene_pb";
import { type ArtifactOptions, artifactSource } from "../player/artifacts";
import { PlayerError } from "../player/errors";
import { readManifestScene } from "../player/manifestScene";

/** Document beside the page that says what it plays: `tabrl.exporter.v1.Policy` as protobuf JSON. */
const POLICY_FILE = "policy.json";
/** Folder beside the page with the policy's files, each under its digest. */
const FILES_FOLDER = "files";

/** What a page plays, read from the folder that the page lies in. */
export interface SharedPolicy {
  readonly policy: Policy;
  readonly manifest: ControllerManifest;
  /** The scene that the manifest names, as the stage wants it. */
  readonly bundle: SceneBundle;
  /** URL of the folder with the files. */
  readonly files: string;
}

/**
 * Reads policy and manifest from `folder`, a URL that ends with a slash.
 *
 * @throws PlayerError ARTIFACT_MISSING, ARTIFACT_UNREACHABLE, DIGEST_MISMATCH, MANIFEST_INVALID
 */
export async function loadSharedPolicy(folder: string, options: Partial<ArtifactOptions> = {}): Promise<SharedPolicy> {
  const files = `${folder}${FILES_FOLDER}`;
  const policy = parsePolicy(await readPolicy(`${folder}${POLICY_FILE}`, options.fetch ?? ((url) => fetch(url))));
  const source = artifactSource({ ...options, folder: files });
  const { manifest, bundle } = await readManifestScene(policy.manifest?.sha256 ?? "", source);
  return { policy, manifest, bundle, files };
}

async function readPolicy(url: string, fetch: ArtifactOptions["fetch"]): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw PlayerError.from(error, "ARTIFACT_UNREACHABLE", `${url} did not come`);
  }
  if (response.ok) return response.text();
  const code = response.status === 404 ? "ARTIFACT_MISSING" : "ARTIFACT_UNREACHABLE";
  throw new PlayerError(code, `The server answered ${response.status} for ${url}. The whole folder must be served.`);
}

function parsePolicy(json: string): Policy {
  let policy: Policy;
  try {
    policy = fromJsonString(PolicySchema, json, { ignoreUnknownFields: true });
  } catch (error) {
    throw PlayerError.from(error, "MANIFEST_INVALID", `${POLICY_FILE} cannot be read`);
  }
  if (!policy.controller?.sha256 || !policy.manifest?.sha256) {
    throw new PlayerError("MANIFEST_INVALID", `${POLICY_FILE} names no controller, or none of its manifest.`);
  }
  return policy;
}
