import type { ModelSizes, VersionRange } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { PlayerError } from "../errors";

/** What a manifest says of where its controller can be played; what it leaves unsaid is not checked. */
export interface Requirements {
  readonly mujocoVersions: VersionRange | undefined;
  readonly model: ModelSizes | undefined;
}

/** A loaded model: MuJoCo's version, the time between two physics steps, and sizes by MuJoCo's names. */
export interface LoadedModel {
  readonly mujocoVersion: string;
  readonly timestepSecs: number;
  size(name: "nq" | "nv" | "nu" | "na" | "nbody" | "nsensordata" | "nmocap"): number;
}

const sizeNames = ["nq", "nv", "nu", "na", "nbody", "nsensordata", "nmocap"] as const;

/** Both are the same number of the scene's MJCF, to 17 digits. */
const TIMESTEP_TOLERANCE_SECS = 1e-12;

/**
 * Refuses a MuJoCo or a model that a controller was not made for: it would only look like a policy that falls.
 *
 * @throws PlayerError MANIFEST_INVALID
 */
export function checkCompatible({ mujocoVersions, model }: Requirements, loaded: LoadedModel): void {
  const { minimum = "", below = "" } = mujocoVersions ?? {};
  const version = loaded.mujocoVersion;
  if ((minimum && compareVersions(version, minimum) < 0) || (below && compareVersions(version, below) >= 0)) {
    throw new PlayerError(
      "MANIFEST_INVALID",
      `The controller was made for MuJoCo ${minimum} to below ${below}; this page has ${version}. Export it again.`,
    );
  }
  if (!model) return;
  const odd = sizeNames.find((name) => model[name] !== loaded.size(name));
  if (odd) {
    throw new PlayerError(
      "MANIFEST_INVALID",
      `The controller was made for a model whose ${odd} is ${model[odd]}, this one's is ${loaded.size(odd)}: it is of another scene.`,
    );
  }
  if (Math.abs(model.timestepSecs - loaded.timestepSecs) > TIMESTEP_TOLERANCE_SECS) {
    throw new PlayerError(
      "MANIFEST_INVALID",
      `The controller was made for physics steps of ${model.timestepSecs} s, this scene's are ${loaded.timestepSecs} s: it is another scene.`,
    );
  }
}

function compareVersions(version: string, other: string): number {
  const [left, right] = [numbers(version), numbers(other)];
  for (let i = 0; i < 3; i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return (version.match(/\d+/g) ?? []).map(Number);
}
