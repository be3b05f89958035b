import {
  type BufferGeometry,
  Color,
  CylinderGeometry,
  DynamicDrawUsage,
  Group,
  InstancedMesh,
  Matrix4,
  Mesh,
  MeshStandardMaterial,
  Quaternion,
  SRGBColorSpace,
  Vector3,
} from "three";
import { type SceneDescription, type Shape, snapshotOffsets } from "../sceneDescription";
import { isShown, pointAt } from "./framing";
import { shapeGeometry } from "./geometry";
import { Materials } from "./materials";
import { type Paints, paintOf } from "./paint";

/** Everything of a scene that has a pose: geoms, sites and tendons. The floor is not among them. */
export class Robot {
  readonly object = new Group();
  readonly #materials: Materials;
  readonly #geometries: BufferGeometry[] = [];
  readonly #posed: { readonly mesh: Mesh; readonly at: number }[] = [];
  readonly #tendons: TendonBundle;

  /** @param floor index of the geom that the stage draws as its floor; -1 for none */
  constructor(description: SceneDescription, floor: number) {
    this.#materials = new Materials(description.textures);
    const offsets = snapshotOffsets(description.layout);
    description.geoms.forEach((shape, i) => {
      if (i !== floor) this.#add(shape, description, 7 * i);
    });
    description.sites.forEach((shape, i) => {
      this.#add(shape, description, offsets.sites + 7 * i);
    });
    this.#tendons = new TendonBundle(description, offsets.segments);
    this.object.add(this.#tendons.object);
    this.pose(description.referencePoses);
  }

  setPaints(paints: Paints): void {
    this.#materials.setPaints(paints);
    this.#tendons.setPaints(paints);
  }

  pose(poses: Float32Array): void {
    for (const { mesh, at } of this.#posed) {
      mesh.position.fromArray(poses, at);
      mesh.quaternion.fromArray(poses, at + 3);
    }
    this.#tendons.pose(poses);
  }

  dispose(): void {
    for (const geometry of this.#geometries) geometry.dispose();
    this.#materials.dispose();
    this.#tendons.dispose();
  }

  #add(shape: Shape, description: SceneDescription, at: number): void {
    if (!isShown(shape)) return;
    const geometry = shapeGeometry(shape, description);
    if (!geometry) return;
    this.#geometries.push(geometry);
    const material = this.#materials.of(shape, paintOf(shape, description.environmentId));
    const mesh = new Mesh(geometry, material);
    mesh.castShadow = !material.transparent && shape.shape !== "plane";
    mesh.receiveShadow = !material.transparent;
    this.#posed.push({ mesh, at });
    this.object.add(mesh);
  }
}

const along = new Vector3(0, 0, 1);

/** All tendons' straight pieces as one drawing call. */
class TendonBundle {
  readonly object: InstancedMesh;
  readonly #at: number;
  readonly #radii: readonly number[];

  readonly #painted: boolean;

  constructor({ tendons, geoms, environmentId }: SceneDescription, at: number) {
    this.#at = at;
    this.#painted = geoms.some((shape) => paintOf(shape, environmentId) !== undefined);
    const pieces = tendons.flatMap(
      ({ radius, rgba, segments }) => Array(segments).fill({ radius, rgba }) as typeof tendons,
    );
    this.#radii = pieces.map(({ radius }) => radius);
    const geometry = new CylinderGeometry(1, 1, 1, 8).rotateX(Math.PI / 2);
    this.object = new InstancedMesh(geometry, new MeshStandardMaterial({ roughness: 0.6 }), pieces.length);
    this.object.instanceMatrix.setUsage(DynamicDrawUsage);
    this.object.castShadow = true;
    // Its bounds change with every pose; it is never worth leaving out.
    this.object.frustumCulled = false;
    pieces.forEach(({ rgba }, i) => {
      this.object.setColorAt(i, new Color().setRGB(rgba[0], rgba[1], rgba[2], SRGBColorSpace));
    });
  }

  /** Tendons are drawn in ink in scenes that wear our paints, which are those whose robots do. */
  setPaints({ ink }: Paints): void {
    if (!this.#painted) return;
    this.#radii.forEach((_, i) => {
      this.object.setColorAt(i, ink);
    });
    if (this.object.instanceColor) this.object.instanceColor.needsUpdate = true;
  }

  pose(poses: Float32Array): void {
    this.#radii.forEach((radius, i) => {
      const begin = new Vector3(...pointAt(poses, this.#at + 6 * i));
      const end = new Vector3(...pointAt(poses, this.#at + 6 * i + 3));
      const span = end.clone().sub(begin);
      const length = span.length();
      const rotation = new Quaternion().setFromUnitVectors(along, length > 0 ? span.divideScalar(length) : along);
      const scale = length > 0 ? new Vector3(radius, radius, length) : new Vector3(0, 0, 0);
      this.object.setMatrixAt(i, new Matrix4().compose(begin.add(end).multiplyScalar(0.5), rotation, scale));
    });
    this.object.instanceMatrix.needsUpdate = true;
  }

  dispose(): void {
    this.object.geometry.dispose();
    (this.object.material as MeshStandardMaterial).dispose();
    this.object.dispose();
  }
}
