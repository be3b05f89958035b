import {
  type BufferGeometry,
  type Intersection,
  Matrix4,
  Mesh,
  type MeshStandardMaterial,
  Quaternion,
  type Raycaster,
  Vector3,
} from "three";
import type { SceneDescription, Shape } from "../sceneDescription";
import { type Detail, joined, shapeTriangles } from "./geometry";

/** A shape, where its pose lies in a snapshot, and what it is painted with. */
export interface Placed {
  readonly shape: Shape;
  readonly at: number;
  readonly material: MeshStandardMaterial;
}

/**
 * Shapes that are drawn in one call: those of one body with one material, which never move against each other. They are posed
 * by the first of them. See-through ones stay apart, for they are drawn from back to front.
 */
export class Part {
  readonly mesh: Mesh<BufferGeometry, MeshStandardMaterial>;
  readonly body: number;
  /** Where its pose lies in a snapshot. */
  readonly at: number;
  readonly #members: readonly Placed[];
  readonly #places: readonly Matrix4[];
  readonly #description: SceneDescription;
  readonly #tile: number;
  readonly #simple: BufferGeometry;
  #fine: BufferGeometry | undefined;

  /** @param tile of a height field */
  constructor(members: readonly [Placed, ...Placed[]], description: SceneDescription, tile = 0) {
    const [{ shape, at, material }] = members;
    this.#members = members;
    this.#description = description;
    this.#tile = tile;
    const intoFirst = poseAt(description.referencePoses, at).invert();
    this.#places = members.map((member) => intoFirst.clone().multiply(poseAt(description.referencePoses, member.at)));
    this.at = at;
    this.body = shape.body;
    this.#simple = this.#build("simple");
    if (!members.some(gainsFromDetail(description, tile))) this.#fine = this.#simple;
    this.mesh = new Mesh(this.#simple, material);
    // The ground's own shadows on itself are not worth drawing its many triangles twice.
    this.mesh.castShadow = !material.transparent && shape.shape !== "plane" && shape.shape !== "hfield";
    this.mesh.receiveShadow = !material.transparent;
  }

  /** The geom in whose frame it is posed; -1 for a site. */
  get geom(): number {
    return this.at < 7 * this.#description.layout.geoms ? this.at / 7 : -1;
  }

  /** Whether a person can pull at it: it is solid, and forces move it. */
  get grabbable(): boolean {
    return this.geom >= 0 && (this.#members[0]?.shape.moves ?? false) && !this.mesh.material.transparent;
  }

  /** Whether its finer form is ready, or the simple one is all there is. */
  get refined(): boolean {
    return this.#fine !== undefined;
  }

  /** Makes its finer form. */
  refine(): void {
    this.#fine ??= this.#build("fine");
  }

  /** Shows one of its forms; the simple one as long as the finer one is not made. */
  show(detail: Detail): void {
    this.mesh.geometry = detail === "fine" ? (this.#fine ?? this.#simple) : this.#simple;
  }

  /** Where a ray meets it first, in its simple form, which is met sooner and lies as close as the eye can tell. */
  meet(ray: Raycaster): Intersection | undefined {
    const met: Intersection[] = [];
    const { geometry } = this.mesh;
    this.mesh.geometry = this.#simple;
    this.mesh.raycast(ray, met);
    this.mesh.geometry = geometry;
    return met.reduce<Intersection | undefined>((a, b) => (a && a.distance <= b.distance ? a : b), undefined);
  }

  pose(poses: Float32Array): void {
    this.mesh.position.fromArray(poses, this.at);
    this.mesh.quaternion.fromArray(poses, this.at + 3);
  }

  dispose(): void {
    this.#simple.dispose();
    this.#fine?.dispose();
  }

  #build(detail: Detail): BufferGeometry {
    const pieces = this.#members.flatMap(({ shape }, i) => {
      const [triangles, place] = [shapeTriangles(shape, this.#description, detail, this.#tile), this.#places[i]];
      return triangles && place ? [{ triangles, place }] : [];
    });
    return joined(pieces, this.#members[0]?.material.map !== null);
  }
}

/** Puts together what can be drawn in one call; each part is made by calling its maker, for that takes time. */
export function partsOf(placed: readonly Placed[], description: SceneDescription): (() => Part)[] {
  const groups = new Map<string, [Placed, ...Placed[]]>();
  for (const one of placed) {
    const { shape, material, at } = one;
    const apart = material.transparent || shape.shape === "plane" || shape.shape === "hfield";
    const key = apart ? `at ${at}` : `${shape.body} ${material.uuid}`;
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return Array.from(groups.values()).flatMap((members) => {
    const [{ shape }] = members;
    const tiles = shape.shape === "hfield" ? (description.heightFields[shape.data] ?? []) : [undefined];
    return tiles.map((_, tile) => () => new Part(members, description, tile));
  });
}

function gainsFromDetail({ meshes, heightFields }: SceneDescription, tile: number) {
  return ({ shape: { shape, data } }: Placed): boolean => {
    const forms = shape === "mesh" ? meshes[data] : shape === "hfield" ? heightFields[data]?.[tile] : undefined;
    return forms !== undefined && forms.fine.indices.length !== forms.simple.indices.length;
  };
}

function poseAt(poses: Float32Array, at: number): Matrix4 {
  const [position, rotation] = [new Vector3().fromArray(poses, at), new Quaternion().fromArray(poses, at + 3)];
  return new Matrix4().compose(position, rotation, new Vector3(1, 1, 1));
}
