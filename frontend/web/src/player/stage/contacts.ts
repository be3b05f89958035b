import {
  type BufferGeometry,
  type Color,
  ConeGeometry,
  CylinderGeometry,
  DynamicDrawUsage,
  InstancedMesh,
  Matrix4,
  MeshBasicMaterial,
  Quaternion,
  Vector3,
} from "three";
import { mergeGeometries } from "three/addons/utils/BufferGeometryUtils.js";

/** Numbers of one contact in a snapshot: where, and the force. */
const width = 6;
const mostArrows = 128;
/** Length of an arrow for a force as large as the robot's weight, and of the longest one, in radii of the ball in view. */
const lengthAtWeight = 0.9;
const longest = 1.3;
/** Forces below this part of the weight are left out; their arrows would be specks. */
const leastPart = 0.01;

/** Length of the arrow for a force, in metres; 0 where it is not worth an arrow. */
export function arrowLength(forceNewtons: number, weightNewtons: number, radius: number): number {
  const part = forceNewtons / Math.max(weightNewtons, 1e-6);
  return part < leastPart ? 0 : radius * Math.min(longest, lengthAtWeight * part);
}

const [at, force, size] = [new Vector3(), new Vector3(), new Vector3()];
const [turn, matrix, upwards] = [new Quaternion(), new Matrix4(), new Vector3(0, 0, 1)];

/** Contact forces as arrows, all of them one drawing call. They are drawn over the robot, in which most of them begin. */
export class ContactArrows {
  readonly object: InstancedMesh<BufferGeometry, MeshBasicMaterial>;
  readonly #weight: number;
  readonly #radius: number;

  /** @param radius of the ball in view */
  constructor(weightNewtons: number, radius: number) {
    this.#weight = weightNewtons;
    this.#radius = radius;
    const material = new MeshBasicMaterial({ depthTest: false, transparent: true, opacity: 0.92 });
    this.object = new InstancedMesh(arrow(), material, mostArrows);
    this.object.instanceMatrix.setUsage(DynamicDrawUsage);
    this.object.frustumCulled = false;
    this.object.renderOrder = 4;
    this.object.count = 0;
    this.object.visible = false;
  }

  setColor(color: Color): void {
    this.object.material.color.copy(color);
  }

  /** Shows these contacts, six numbers each; none without an array. */
  show(contacts: Float32Array | undefined): void {
    const { object } = this;
    object.count = 0;
    for (let from = 0; contacts && from + width <= contacts.length && object.count < mostArrows; from += width) {
      at.fromArray(contacts, from);
      force.fromArray(contacts, from + 3);
      const newtons = force.length();
      const length = arrowLength(newtons, this.#weight, this.#radius);
      if (length === 0) continue;
      turn.setFromUnitVectors(upwards, force.divideScalar(newtons));
      const thickness = 0.03 * this.#radius;
      object.setMatrixAt(object.count, matrix.compose(at, turn, size.set(thickness, thickness, length)));
      object.count += 1;
    }
    object.visible = object.count > 0;
    object.instanceMatrix.needsUpdate = true;
  }

  dispose(): void {
    this.object.geometry.dispose();
    this.object.material.dispose();
    this.object.dispose();
  }
}

/** An arrow from the origin to 1 on the third axis, its head of radius 1. */
function arrow(): BufferGeometry {
  const shaft = new CylinderGeometry(0.36, 0.36, 0.78, 10).translate(0, 0.39, 0);
  const head = new ConeGeometry(1, 0.24, 16).translate(0, 0.88, 0);
  const whole = mergeGeometries([shaft, head]).rotateX(Math.PI / 2);
  shaft.dispose();
  head.dispose();
  return whole;
}
