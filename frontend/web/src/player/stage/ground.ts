import {
  DataTexture,
  Group,
  LinearFilter,
  LinearMipmapLinearFilter,
  Mesh,
  MeshBasicMaterial,
  PlaneGeometry,
  RepeatWrapping,
  ShadowMaterial,
  SRGBColorSpace,
} from "three";
import type { Point } from "./framing";
import type { Palette } from "./palette";

const textureSide = 256;
/** Part of a cell that its line takes. */
const lineWidth = 0.014;

/**
 * The floor: a fine grid and the robot's shadow on the page's own background, fading with the distance. It moves with the
 * robot, but its lines stay where they are in the world, so that motion over the floor can be seen.
 */
export class Ground {
  readonly object = new Group();
  readonly #grid = gridTexture();
  readonly #fade = fadeTexture();
  readonly #surface: Mesh<PlaneGeometry, MeshBasicMaterial>;
  readonly #shade: Mesh<PlaneGeometry, ShadowMaterial>;
  readonly #side: number;
  readonly #period: number;

  /** @param radius of the ball in view; the floor and its grid are scaled to it */
  constructor(height: number, radius: number) {
    this.#side = 18 * radius;
    this.#period = roundLength(0.4 * radius);
    const geometry = new PlaneGeometry(this.#side, this.#side);
    this.#grid.repeat.setScalar(this.#side / this.#period);
    const surface = new MeshBasicMaterial({ map: this.#grid, alphaMap: this.#fade, transparent: true });
    this.#surface = new Mesh(geometry, surface);
    this.#shade = new Mesh(geometry, new ShadowMaterial({ opacity: 0.3 }));
    this.#shade.receiveShadow = true;
    // The two lie in one plane: drawn in this order, and never hiding one another.
    this.#surface.renderOrder = -2;
    this.#shade.renderOrder = -1;
    surface.depthWrite = false;
    this.#shade.material.depthWrite = false;
    this.object.position.z = height;
    this.object.add(this.#surface, this.#shade);
  }

  setPalette({ floorLine, shadowStrength }: Palette): void {
    this.#surface.material.color.copy(floorLine);
    this.#shade.material.opacity = shadowStrength;
  }

  moveTo([x, y]: Point): void {
    this.object.position.x = x;
    this.object.position.y = y;
    const half = this.#side / 2;
    this.#grid.offset.set(((x - half) / this.#period) % 1, ((y - half) / this.#period) % 1);
  }

  dispose(): void {
    this.#surface.geometry.dispose();
    this.#surface.material.dispose();
    this.#shade.material.dispose();
    this.#grid.dispose();
    this.#fade.dispose();
  }
}

/** The nearest of 1, 2, 5 times a power of ten. */
export function roundLength(length: number): number {
  const power = 10 ** Math.floor(Math.log10(length));
  const steps = [1, 2, 5, 10].map((step) => step * power);
  return steps.reduce((best, step) => (Math.abs(step - length) < Math.abs(best - length) ? step : best));
}

/** One cell of the grid: white lines along two of its sides, nothing between them. */
function gridTexture(): DataTexture {
  const pixels = new Uint8Array(4 * textureSide ** 2).fill(255);
  const width = Math.max(1, Math.round(lineWidth * textureSide));
  for (let row = 0; row < textureSide; row += 1) {
    for (let column = 0; column < textureSide; column += 1) {
      pixels[4 * (row * textureSide + column) + 3] = row < width || column < width ? 255 : 0;
    }
  }
  const texture = new DataTexture(pixels, textureSide, textureSide);
  texture.wrapS = RepeatWrapping;
  texture.wrapT = RepeatWrapping;
  texture.colorSpace = SRGBColorSpace;
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.generateMipmaps = true;
  texture.anisotropy = 8;
  texture.needsUpdate = true;
  return texture;
}

/** White in the middle, black from the rim outwards. */
function fadeTexture(): DataTexture {
  const side = 128;
  const pixels = new Uint8Array(4 * side ** 2);
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const outwards = Math.hypot(row + 0.5 - side / 2, column + 0.5 - side / 2) / (side / 2);
      const part = Math.min(1, Math.max(0, (1 - outwards) / 0.8));
      const value = Math.round(255 * part * part);
      pixels.set([value, value, value, 255], 4 * (row * side + column));
    }
  }
  const texture = new DataTexture(pixels, side, side);
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearFilter;
  texture.needsUpdate = true;
  return texture;
}
