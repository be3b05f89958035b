import { type Camera, Raycaster, Vector2, Vector3 } from "three";
import type { Grab } from "../protocol";
import type { Part } from "./parts";

/** The part under the pointer, and where it was hit. */
export interface Hit {
  readonly part: Part;
  /** In the world's frame. */
  readonly point: Vector3;
}

const ray = new Raycaster();
const forward = new Vector3();
const around = new Vector2();

/** Circles about a touch on which a part is looked for, as shares of the fingertip, and the places on each. */
const CIRCLES = [0.5, 1];
const PLACES = 8;

/** Finds the nearest part that forces move; nothing where something that does not move is before it. */
export function hitAt(pointer: Vector2, camera: Camera, parts: readonly Part[]): Hit | undefined {
  ray.setFromCamera(pointer, camera);
  let nearest = Number.POSITIVE_INFINITY;
  let hit: Hit | undefined;
  for (const part of parts) {
    const met = part.mesh.material.transparent ? undefined : part.meet(ray);
    if (!met || met.distance >= nearest) continue;
    nearest = met.distance;
    hit = part.grabbable ? { part, point: met.point } : undefined;
  }
  return hit;
}

/**
 * Finds the part that a finger means: the one under its middle, else the nearest that any of its tip covers.
 *
 * @param tip half the width and height of the fingertip, in the pointer's units
 */
export function hitByFinger(pointer: Vector2, tip: Vector2, camera: Camera, parts: readonly Part[]): Hit | undefined {
  const hit = hitAt(pointer, camera, parts);
  if (hit) return hit;
  for (const circle of CIRCLES) {
    for (let place = 0; place < PLACES; place++) {
      const angle = (2 * Math.PI * place) / PLACES;
      around.set(pointer.x + circle * tip.x * Math.cos(angle), pointer.y + circle * tip.y * Math.sin(angle));
      const beside = hitAt(around, camera, parts);
      if (beside) return beside;
    }
  }
  return undefined;
}

/**
 * Where a ray meets the plane that faces the camera at a distance before it: what is held moves neither nearer nor farther.
 *
 * @param depth distance of the plane from the camera along `facing`
 */
export function onPlane(origin: Vector3, direction: Vector3, facing: Vector3, depth: number, out: Vector3): Vector3 {
  return out.copy(origin).addScaledVector(direction, depth / Math.max(1e-6, direction.dot(facing)));
}

/** One pull, from the moment the robot is seized until it is let go. */
export class Pull {
  readonly part: Part;
  readonly pointerId: number;
  /** In the world's frame; where the part has carried the point that was seized. */
  readonly from = new Vector3();
  readonly target = new Vector3();
  readonly #point: Vector3;
  readonly #depth: number;

  constructor({ part, point }: Hit, pointerId: number, camera: Camera) {
    this.part = part;
    this.pointerId = pointerId;
    this.from.copy(point);
    this.target.copy(point);
    this.#point = part.mesh.worldToLocal(point.clone());
    this.#depth = point.clone().sub(camera.position).dot(camera.getWorldDirection(forward));
  }

  /** Follows the robot, the camera and the pointer; says whether the target has moved. */
  update(pointer: Vector2, camera: Camera): boolean {
    const { mesh } = this.part;
    this.from.copy(this.#point).applyQuaternion(mesh.quaternion).add(mesh.position);
    const { x, y, z } = this.target;
    ray.setFromCamera(pointer, camera);
    onPlane(ray.ray.origin, ray.ray.direction, camera.getWorldDirection(forward), this.#depth, this.target);
    return this.target.x !== x || this.target.y !== y || this.target.z !== z;
  }

  get grab(): Grab {
    const [point, target] = [this.#point, this.target];
    return {
      geom: this.part.geom,
      body: this.part.body,
      point: [point.x, point.y, point.z],
      target: [target.x, target.y, target.z],
    };
  }
}
