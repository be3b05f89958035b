import { PerspectiveCamera, Vector3 } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { type Framing, followStep, type Point } from "./framing";

const fieldOfViewDegrees = 28;

/** The camera: framed on the robot, turned by the pointer, following where the robot goes. */
export class CameraRig {
  readonly camera = new PerspectiveCamera(fieldOfViewDegrees, 1, 0.01, 200);
  readonly #controls: OrbitControls;
  #framing: Framing | undefined;
  #target: Point = [0, 0, 0];

  constructor(canvas: HTMLElement, onChange: () => void) {
    this.camera.up.set(0, 0, 1);
    this.#controls = new OrbitControls(this.camera, canvas);
    this.#controls.enableDamping = true;
    this.#controls.dampingFactor = 0.12;
    this.#controls.addEventListener("change", onChange);
    // Dragging with two fingers or the right button would pull the view off the robot that it follows.
    this.#controls.enablePan = false;
  }

  /** The ball that is in view. */
  get radius(): number {
    return this.#framing?.radius ?? 1;
  }

  get target(): Point {
    return this.#target;
  }

  /** Frames a scene. With ground, the camera stays above it. */
  frame(framing: Framing, hasGround: boolean): void {
    this.#framing = framing;
    this.#controls.maxPolarAngle = hasGround ? 0.51 * Math.PI : Math.PI;
    this.reset();
  }

  /** Goes back to the first view, on the robot where it is now. */
  reset(): void {
    const framing = this.#framing;
    if (!framing) return;
    const { radius, direction, center } = framing;
    this.#target = center;
    const away = this.#fittingDistance(radius);
    this.#controls.target.set(...center);
    this.camera.position.set(...center).addScaledVector(new Vector3(...direction), -away);
    this.camera.near = away / 100;
    this.camera.far = away * 40;
    this.camera.updateProjectionMatrix();
    this.#controls.minDistance = 0.25 * radius;
    this.#controls.maxDistance = 12 * radius;
    this.#controls.update();
  }

  /** Keeps the framing when the picture's shape changes. */
  resize(aspect: number): void {
    const before = this.#fittingDistance(1);
    this.camera.aspect = aspect;
    this.camera.updateProjectionMatrix();
    const { target } = this.#controls;
    this.camera.position
      .sub(target)
      .multiplyScalar(this.#fittingDistance(1) / before)
      .add(target);
  }

  /** Follows the robot's centre of mass for one frame; the person's own view angle and distance stay. */
  follow(focus: Point, elapsedSecs: number): void {
    if (!this.#framing) return;
    const { center, focus: reference, radius } = this.#framing;
    const wanted: Point = [
      center[0] + focus[0] - reference[0],
      center[1] + focus[1] - reference[1],
      center[2] + focus[2] - reference[2],
    ];
    const next = followStep(this.#target, wanted, radius, elapsedSecs);
    const shift = new Vector3(...next).sub(new Vector3(...this.#target));
    this.#target = next;
    this.camera.position.add(shift);
    this.#controls.target.add(shift);
  }

  /** Moves on by one frame of damping; says whether the view still moves. */
  update(): boolean {
    return this.#controls.update();
  }

  dispose(): void {
    this.#controls.dispose();
  }

  #fittingDistance(radius: number): number {
    const vertical = ((fieldOfViewDegrees / 2) * Math.PI) / 180;
    const horizontal = Math.atan(Math.tan(vertical) * this.camera.aspect);
    return (1.2 * radius) / Math.sin(Math.min(vertical, horizontal));
  }
}
