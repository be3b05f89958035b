import { describeScene } from "../physics/describe";
import type { Simulation } from "../physics/simulation";
import type { SceneFiles } from "../protocol";
import { buffersOf, type SceneDescription } from "../sceneDescription";

/** A description on its way to the page, and the buffers that go there without being copied. */
export interface Sending {
  readonly description: SceneDescription;
  readonly transfer: ArrayBuffer[];
}

/** Describes scenes. Making meshes simple takes most of the time, so lanes beside each other share a description and send copies. */
export class Descriptions {
  #kept: { readonly key: string; readonly description: SceneDescription } | undefined;

  /** The simulation must be in its reference state. */
  of(files: SceneFiles, simulation: Simulation, isShared: boolean): Sending {
    const key = JSON.stringify(files);
    const kept = this.#kept?.key === key ? this.#kept.description : undefined;
    const description = kept ?? describeScene(files.environmentId, simulation);
    this.#kept = isShared ? { key, description } : undefined;
    return { description, transfer: isShared ? [] : buffersOf(description) };
  }
}
