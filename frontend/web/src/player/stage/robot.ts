import { Group, type Texture } from "three";
import { type SceneDescription, snapshotOffsets } from "../sceneDescription";
import { isShown } from "./framing";
import type { Detail } from "./geometry";
import { Materials } from "./materials";
import { type Paints, paintOf } from "./paint";
import { type Part, type Placed, partsOf } from "./parts";
import { TendonBundle } from "./tendons";

/** Everything of a scene that has a pose: geoms, sites and tendons. The floor is not among them. */
export class Robot {
  readonly object = new Group();
  readonly #parts: Part[] = [];
  readonly #unmade: (() => Part)[];
  readonly #materials: Materials;
  readonly #tendons: TendonBundle;
  readonly #referencePoses: Float32Array;
  #detail: Detail = "simple";

  /** @param floor index of the geom that the stage draws as its floor; -1 for none */
  constructor(description: SceneDescription, floor: number) {
    this.#materials = new Materials(description.textures);
    const offsets = snapshotOffsets(description.layout);
    // Geoms come before sites, so that a part is posed by a geom where it has one.
    const shapes = [
      ...description.geoms.map((shape, i) => ({ shape, at: 7 * i, floor: i === floor })),
      ...description.sites.map((shape, i) => ({ shape, at: offsets.sites + 7 * i, floor: false })),
    ];
    const placed = shapes
      .filter((one) => !one.floor && isShown(one.shape))
      .map(({ shape, at }): Placed => {
        const material = this.#materials.of(shape, paintOf(shape, description.environmentId));
        return { shape, at, material };
      });
    this.#unmade = partsOf(placed, description);
    this.#tendons = new TendonBundle(description, offsets.segments);
    this.object.add(this.#tendons.object);
    this.#referencePoses = description.referencePoses;
    this.#tendons.pose(this.#referencePoses);
  }

  /** Its parts that are made. */
  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** The pictures on it. */
  get textures(): readonly Texture[] {
    return this.#materials.maps;
  }

  /** Makes its parts until `untilMs` on the page's clock, one at least; says whether all are made. */
  build(untilMs: number): boolean {
    do {
      const part = this.#unmade.shift()?.();
      if (!part) return true;
      part.pose(this.#referencePoses);
      this.#parts.push(part);
      this.object.add(part.mesh);
    } while (performance.now() < untilMs);
    return this.#unmade.length === 0;
  }

  setPaints(paints: Paints, darkest: number): void {
    this.#materials.setPaints(paints, darkest);
    this.#tendons.setPaints(paints);
  }

  pose(poses: Float32Array): void {
    for (const part of this.#parts) part.pose(poses);
    this.#tendons.pose(poses);
  }

  /** Shows meshes in this detail, as far as it is made. */
  setDetail(detail: Detail): void {
    if (detail === this.#detail) return;
    this.#detail = detail;
    for (const part of this.#parts) part.show(detail);
  }

  /** Makes finer forms until `untilMs` on the page's clock, one at least, and shows them where they are wanted; says whether all are made. */
  refine(untilMs: number): boolean {
    for (const part of this.#parts) {
      if (part.refined) continue;
      part.refine();
      part.show(this.#detail);
      if (performance.now() >= untilMs) return this.#parts.every(({ refined }) => refined);
    }
    return true;
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose();
    this.#materials.dispose();
    this.#tendons.dispose();
  }
}
