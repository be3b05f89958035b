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

const textureSide = 128;

/**
 * The floor: a checkered disc around the robot that fades into the background. It moves with the robot, but its checkers stay
 * where they are in the world, so that motion over the floor can be seen.
 */
export class Ground {
  readonly object = new Group();
  readonly #checkers = checkerTexture();
  readonly #fade = fadeTexture();
  readonly #surface: Mesh<PlaneGeometry, MeshBasicMaterial>;
  readonly #shade: Mesh<PlaneGeometry, ShadowMaterial>;
  readonly #side: number;
  readonly #period: number;

  /** @param radius of the ball in view; the floor and its checkers are scaled to it */
  constructor(height: number, radius: number) {
    this.#side = 18 * radius;
    this.#period = roundLength(0.9 * radius);
    const geometry = new PlaneGeometry(this.#side, this.#side);
    this.#checkers.repeat.setScalar(this.#side / this.#period);
    const surface = new MeshBasicMaterial({ map: this.#checkers, alphaMap: this.#fade, transparent: true });
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

  setPalette({ floor, floorLine, haze }: Palette): void {
    paintCheckers(this.#checkers, floor.clone().lerp(haze, 0.35).getHex(), floorLine.getHex());
    const bright = haze.getHSL({ h: 0, s: 0, l: 0 }).l > 0.5;
    this.#shade.material.opacity = bright ? 0.2 : 0.42;
  }

  moveTo([x, y]: Point): void {
    this.object.position.x = x;
    this.object.position.y = y;
    const half = this.#side / 2;
    this.#checkers.offset.set(((x - half) / this.#period) % 1, ((y - half) / this.#period) % 1);
  }

  dispose(): void {
    this.#surface.geometry.dispose();
    this.#surface.material.dispose();
    this.#shade.material.dispose();
    this.#checkers.dispose();
    this.#fade.dispose();
  }
}

/** The nearest of 1, 2, 5 times a power of ten. */
export function roundLength(length: number): number {
  const power = 10 ** Math.floor(Math.log10(length));
  const steps = [1, 2, 5, 10].map((step) => step * power);
  return steps.reduce((best, step) => (Math.abs(step - length) < Math.abs(best - length) ? step : best));
}

function checkerTexture(): DataTexture {
  const texture = new DataTexture(new Uint8Array(4 * textureSide ** 2), textureSide, textureSide);
  texture.wrapS = RepeatWrapping;
  texture.wrapT = RepeatWrapping;
  texture.colorSpace = SRGBColorSpace;
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.generateMipmaps = true;
  texture.anisotropy = 4;
  return texture;
}

function paintCheckers(texture: DataTexture, even: number, odd: number): void {
  const pixels = new DataView((texture.image.data as Uint8Array).buffer);
  const half = textureSide / 2;
  for (let row = 0; row < textureSide; row += 1) {
    for (let column = 0; column < textureSide; column += 1) {
      const color = row < half === column < half ? even : odd;
      pixels.setUint32(4 * (row * textureSide + column), ((color << 8) | 0xff) >>> 0);
    }
  }
  texture.needsUpdate = true;
}

/** White in the middle, black from the rim outwards. */
function fadeTexture(): DataTexture {
  const pixels = new Uint8Array(4 * textureSide ** 2);
  for (let row = 0; row < textureSide; row += 1) {
    for (let column = 0; column < textureSide; column += 1) {
      const outwards = Math.hypot(row + 0.5 - textureSide / 2, column + 0.5 - textureSide / 2) / (textureSide / 2);
      const part = Math.min(1, Math.max(0, (1 - outwards) / 0.75));
      pixels.fill(Math.round(255 * part * part * (3 - 2 * part)), 4 * (row * textureSide + column));
      pixels[4 * (row * textureSide + column) + 3] = 255;
    }
  }
  for (let i = 0; i < pixels.length; i += 4) {
    const value = pixels[i] ?? 0;
    pixels.set([value, value, value, 255], i);
  }
  const texture = new DataTexture(pixels, textureSide, textureSide);
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearFilter;
  texture.needsUpdate = true;
  return texture;
}
