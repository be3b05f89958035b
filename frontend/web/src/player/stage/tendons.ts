import {
  Color,
  CylinderGeometry,
  DynamicDrawUsage,
  InstancedMesh,
  Matrix4,
  MeshStandardMaterial,
  Quaternion,
  SRGBColorSpace,
  Vector3,
} from "three";
import type { SceneDescription } from "../sceneDescription";
import { type Paints, paintOf } from "./paint";

const along = new Vector3(0, 0, 1);
// Used anew for every piece: nothing is allocated while the robot moves.
const [begin, span, scale] = [new Vector3(), new Vector3(), new Vector3()];
const [rotation, matrix] = [new Quaternion(), new Matrix4()];

/** Writes the matrix that turns a rod of length and radius 1 about the origin, along z, into one between two points. */
export function rodBetween(from: Vector3, to: Vector3, radius: number, out: Matrix4): Matrix4 {
  span.subVectors(to, from);
  const length = span.length();
  if (length === 0) return out.makeScale(0, 0, 0);
  rotation.setFromUnitVectors(along, span.divideScalar(length));
  begin.addVectors(from, to).multiplyScalar(0.5);
  return out.compose(begin, rotation, scale.set(radius, radius, length));
}

const [first, second] = [new Vector3(), new Vector3()];

/** All tendons' straight pieces as one drawing call. */
export class TendonBundle {
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
    this.object.visible = pieces.length > 0;
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
    for (let i = 0; i < this.#radii.length; i += 1) {
      const at = this.#at + 6 * i;
      first.fromArray(poses, at);
      second.fromArray(poses, at + 3);
      this.object.setMatrixAt(i, rodBetween(first, second, this.#radii[i] ?? 0, matrix));
    }
    this.object.instanceMatrix.needsUpdate = true;
  }

  dispose(): void {
    this.object.geometry.dispose();
    (this.object.material as MeshStandardMaterial).dispose();
    this.object.dispose();
  }
}
