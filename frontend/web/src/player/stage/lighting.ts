import { DirectionalLight, Group, HemisphereLight, Vector3 } from "three";
import type { Point } from "./framing";
import type { Palette } from "./palette";

const towardsSun = new Vector3(-0.45, -0.6, 1.15).normalize();
/** Two directions that span the sun's picture of the scene. */
const sunRight = new Vector3(0, 0, 1).cross(towardsSun).normalize();
const sunUp = towardsSun.clone().cross(sunRight);
const snapped = new Vector3();

/**
 * Shifts a point across the sun's rays onto the raster of the shadow's pixels. A sun that follows the robot in smaller steps
 * than that would make the shadow's edge shimmer.
 */
export function snapToShadow([x, y, z]: Point, pixel: number, out: Vector3): Vector3 {
  out.set(x, y, z);
  const [right, up] = [out.dot(sunRight), out.dot(sunUp)];
  return out
    .addScaledVector(sunRight, Math.round(right / pixel) * pixel - right)
    .addScaledVector(sunUp, Math.round(up / pixel) * pixel - up);
}

/** Light from the sky, a sun with soft shadows that goes where the robot goes, and a rim light from behind. */
export class Lighting {
  readonly object = new Group();
  readonly #sky = new HemisphereLight();
  readonly #sun = new DirectionalLight(0xffffff);
  readonly #rim = new DirectionalLight(0xffffff, 0.7);
  readonly #reach: number;
  readonly #radius: number;
  #pixel = 0;

  /**
   * @param radius of the ball in view, which the shadows must cover
   * @param shadowPixels side of the sun's picture of the scene
   */
  constructor(radius: number, shadowPixels: number) {
    this.#radius = radius;
    this.#reach = 6 * radius;
    const { shadow } = this.#sun;
    this.#sun.castShadow = true;
    this.setShadowPixels(shadowPixels);
    shadow.radius = 4;
    shadow.bias = -0.0004;
    shadow.normalBias = 0.012 * radius;
    const { camera } = shadow;
    [camera.left, camera.right, camera.bottom, camera.top] = [-2, 2, -2, 2].map((side) => side * radius) as [
      number,
      number,
      number,
      number,
    ];
    camera.near = 0.1 * radius;
    camera.far = 2 * this.#reach;
    this.#sky.position.set(0, 0, 1);
    this.object.add(this.#sky, this.#sun, this.#sun.target, this.#rim, this.#rim.target);
  }

  /** Makes the shadows as fine as there is time for; they must be drawn anew afterwards. */
  setShadowPixels(pixels: number): void {
    const { shadow } = this.#sun;
    this.#pixel = (4 * this.#radius) / pixels;
    shadow.mapSize.set(pixels, pixels);
    shadow.map?.dispose();
    shadow.map = null;
  }

  setPalette({ sky, ground, skyStrength, sunStrength, rimStrength }: Palette): void {
    this.#sky.color.copy(sky);
    this.#sky.groundColor.copy(ground);
    this.#sky.intensity = skyStrength;
    this.#sun.intensity = sunStrength;
    this.#rim.intensity = rimStrength;
  }

  /** Lights the robot where it is now; says whether the sun has moved. */
  moveTo(target: Point): boolean {
    snapToShadow(target, this.#pixel, snapped);
    if (this.#sun.target.position.equals(snapped)) return false;
    this.#sun.target.position.copy(snapped);
    this.#sun.position.copy(snapped).addScaledVector(towardsSun, this.#reach);
    this.#rim.target.position.copy(snapped);
    this.#rim.position.set(snapped.x + this.#reach, snapped.y + this.#reach, snapped.z + 0.4 * this.#reach);
    return true;
  }

  dispose(): void {
    this.#sun.dispose();
    this.#rim.dispose();
    this.#sky.dispose();
  }
}
