import { DirectionalLight, Group, HemisphereLight, Vector3 } from "three";
import type { Point } from "./framing";
import type { Palette } from "./palette";

const towardsSun = new Vector3(-0.45, -0.6, 1.15).normalize();

/** Light from the sky, a sun with soft shadows that goes where the robot goes, and a rim light from behind. */
export class Lighting {
  readonly object = new Group();
  readonly #sky = new HemisphereLight();
  readonly #sun = new DirectionalLight(0xffffff);
  readonly #rim = new DirectionalLight(0xffffff, 0.7);
  readonly #reach: number;

  /** @param radius of the ball in view, which the shadows must cover */
  constructor(radius: number) {
    this.#reach = 6 * radius;
    const { shadow } = this.#sun;
    this.#sun.castShadow = true;
    shadow.mapSize.set(1024, 1024);
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

  setPalette({ sky, ground, skyStrength, sunStrength }: Palette): void {
    this.#sky.color.copy(sky);
    this.#sky.groundColor.copy(ground);
    this.#sky.intensity = skyStrength;
    this.#sun.intensity = sunStrength;
  }

  moveTo(target: Point): void {
    this.#sun.target.position.set(...target);
    this.#sun.position.set(...target).addScaledVector(towardsSun, this.#reach);
    this.#rim.target.position.set(...target);
    this.#rim.position.set(target[0] + this.#reach, target[1] + this.#reach, target[2] + 0.4 * this.#reach);
  }

  dispose(): void {
    this.#sun.dispose();
    this.#rim.dispose();
    this.#sky.dispose();
  }
}
