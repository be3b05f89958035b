import {
  type Color,
  CylinderGeometry,
  Group,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  SphereGeometry,
  type Vector3,
} from "three";
import type { Paints } from "./paint";
import type { Part } from "./parts";
import { rodBetween } from "./tendons";

/** What a person pulls with: a line from the point seized to a small ball under the pointer, with a dark rim that shows it on any ground. */
export class PullMark {
  readonly object = new Group();
  readonly #line: readonly Stroke[];
  readonly #live = new MeshBasicMaterial({ depthTest: false, transparent: true });
  readonly #rim = new MeshBasicMaterial({ depthTest: false, transparent: true, opacity: 0.75 });

  constructor(radius: number) {
    this.#line = [
      new Stroke(this.#rim, 0.009 * radius, 0.042 * radius, 5),
      new Stroke(this.#live, 0.0055 * radius, 0.036 * radius, 6),
    ];
    this.object.add(...this.#line.map(({ object }) => object));
    this.object.visible = false;
  }

  setColors(live: Color, rim: Color): void {
    this.#live.color.copy(live);
    this.#rim.color.copy(rim);
  }

  show(from: Vector3, to: Vector3): void {
    for (const stroke of this.#line) stroke.draw(from, to);
    this.object.visible = true;
  }

  hide(): void {
    this.object.visible = false;
  }

  dispose(): void {
    for (const stroke of this.#line) stroke.dispose();
    this.#live.dispose();
    this.#rim.dispose();
  }
}

const matrix = new Matrix4();

/** A rod and a ball at its end. */
class Stroke {
  readonly object = new Group();
  readonly #rod: Mesh<CylinderGeometry>;
  readonly #ball: Mesh<SphereGeometry>;
  readonly #thickness: number;

  constructor(material: MeshBasicMaterial, thickness: number, ballRadius: number, order: number) {
    this.#thickness = thickness;
    this.#rod = new Mesh(new CylinderGeometry(1, 1, 1, 10).rotateX(Math.PI / 2), material);
    this.#ball = new Mesh(new SphereGeometry(ballRadius, 20, 14), material);
    this.#rod.matrixAutoUpdate = false;
    this.#rod.frustumCulled = false;
    this.#rod.renderOrder = order;
    this.#ball.renderOrder = order;
    this.object.add(this.#rod, this.#ball);
  }

  draw(from: Vector3, to: Vector3): void {
    this.#rod.matrix.copy(rodBetween(from, to, this.#thickness, matrix));
    this.#rod.matrixWorldNeedsUpdate = true;
    this.#ball.position.copy(to);
  }

  dispose(): void {
    this.#rod.geometry.dispose();
    this.#ball.geometry.dispose();
  }
}

/** Tints the body under the pointer, so that it is seen what a drag would seize. */
export class Highlight {
  readonly object = new Group();
  readonly #material = new MeshBasicMaterial({
    transparent: true,
    opacity: 0.28,
    depthWrite: false,
    polygonOffset: true,
    polygonOffsetFactor: -1,
    polygonOffsetUnits: -1,
  });
  #followed: readonly { readonly part: Part; readonly veil: Mesh }[] = [];
  #body = -1;

  setPaints({ citron }: Paints): void {
    this.#material.color.copy(citron);
  }

  /** Tints the parts of a body; none for -1. Says whether that changes the picture. */
  mark(body: number, parts: readonly Part[]): boolean {
    if (body === this.#body) return false;
    this.#body = body;
    this.object.clear();
    this.#followed = parts
      .filter((part) => body >= 0 && part.body === body && !part.mesh.material.transparent)
      .map((part) => ({ part, veil: new Mesh(part.mesh.geometry, this.#material) }));
    for (const { veil } of this.#followed) this.object.add(veil);
    return true;
  }

  /** Goes where the parts have gone. */
  follow(): void {
    for (const { part, veil } of this.#followed) {
      veil.geometry = part.mesh.geometry;
      veil.position.copy(part.mesh.position);
      veil.quaternion.copy(part.mesh.quaternion);
    }
  }

  dispose(): void {
    this.#material.dispose();
  }
}
