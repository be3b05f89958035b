import {
  Color,
  DataTexture,
  DoubleSide,
  LinearFilter,
  LinearMipmapLinearFilter,
  MeshStandardMaterial,
  RepeatWrapping,
  SRGBColorSpace,
  type Texture,
} from "three";
import type { Shape, Surface, TextureData } from "../sceneDescription";
import type { Paint, Paints } from "./paint";

/** Makes the materials of one scene and frees them and their textures together. */
export class Materials {
  readonly #textures: readonly TextureData[];
  readonly #materials = new Map<string, MeshStandardMaterial>();
  readonly #painted = new Map<MeshStandardMaterial, Paint>();
  /** The colours that the scene itself gives, of what has no picture on it. */
  readonly #own = new Map<MeshStandardMaterial, Color>();
  readonly #maps: Texture[] = [];

  constructor(textures: readonly TextureData[]) {
    this.#textures = textures;
  }

  /**
   * Gives everything that wears a paint its colour. The scene's own colours stay, but none is darker than `darkest`, so that a
   * black robot is seen on a dark stage.
   */
  setPaints(paints: Paints, darkest: number): void {
    for (const [material, own] of this.#own) material.color.copy(notDarker(own, darkest));
    for (const [material, paint] of this.#painted) material.color.copy(paints[paint]);
  }

  /** Returns the material for a shape; shapes that look alike share one. A painted shape loses its texture. */
  of(shape: Shape, paint?: Paint): MeshStandardMaterial {
    if (paint) return this.#paint(paint, shape.surface.rgba[3]);
    const { surface } = shape;
    const textured = surface.texture >= 0;
    const key = JSON.stringify([surface, textured ? shape.size : 0, shape.shape === "plane"]);
    const known = this.#materials.get(key);
    if (known) return known;
    const made = this.#make(shape, surface);
    if (!made.map) this.#own.set(made, made.color.clone());
    this.#materials.set(key, made);
    return made;
  }

  /** The pictures on them. */
  get maps(): readonly Texture[] {
    return this.#maps;
  }

  dispose(): void {
    for (const material of this.#materials.values()) material.dispose();
    for (const map of this.#maps) map.dispose();
  }

  #paint(paint: Paint, opacity: number): MeshStandardMaterial {
    const key = `${paint} ${opacity}`;
    const known = this.#materials.get(key);
    if (known) return known;
    const made = new MeshStandardMaterial({ roughness: 0.55, metalness: 0, side: DoubleSide, ...translucent(opacity) });
    this.#materials.set(key, made);
    this.#painted.set(made, paint);
    return made;
  }

  #make(shape: Shape, surface: Surface): MeshStandardMaterial {
    const [red, green, blue, opacity] = surface.rgba;
    const color = new Color().setRGB(red, green, blue, SRGBColorSpace);
    const map = this.#map(shape, surface);
    return new MeshStandardMaterial({
      color,
      emissive: color.clone().multiplyScalar(surface.emission),
      roughness: 0.85 - 0.45 * Math.min(1, surface.shininess * surface.specular * 2),
      metalness: 0.02,
      ...translucent(opacity),
      ...(map ? { map } : {}),
      ...(shape.shape === "plane" ? { side: DoubleSide } : {}),
    });
  }

  #map(shape: Shape, { texture, textureRepeat, textureUniform }: Surface): Texture | undefined {
    const data = this.#textures[texture];
    if (!data) return undefined;
    const map = pictureTexture(data);
    const [x, y] = textureRepeat;
    const flat = shape.shape === "plane" || shape.shape === "hfield";
    // MuJoCo repeats a uniform texture once per unit of length and half-length counts as one.
    const [width, depth] = textureUniform && flat ? [shape.size[0] || 1, shape.size[1] || 1] : [1, 1];
    map.repeat.set(x * width, y * depth);
    this.#maps.push(map);
    return map;
  }
}

/** The colour, lightened where it reflects less than this part of the light. */
export function notDarker(color: Color, darkest: number): Color {
  const luminance = 0.2126 * color.r + 0.7152 * color.g + 0.0722 * color.b;
  const lift = Math.max(0, darkest - luminance);
  return new Color(color.r + lift, color.g + lift, color.b + lift);
}

function translucent(opacity: number) {
  const solid = opacity > 0.999;
  return { opacity, transparent: !solid, depthWrite: solid };
}

function pictureTexture({ width, height, rgba }: TextureData): DataTexture {
  const texture = new DataTexture(rgba, width, height);
  texture.wrapS = RepeatWrapping;
  texture.wrapT = RepeatWrapping;
  texture.colorSpace = SRGBColorSpace;
  texture.magFilter = LinearFilter;
  texture.minFilter = LinearMipmapLinearFilter;
  texture.generateMipmaps = true;
  texture.needsUpdate = true;
  return texture;
}
