import { PerspectiveCamera, Vector3 } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { type Framing, followStep, type Point } from "./framing";
import { isSameView, offsetOf, type View, viewOf } from "./view";

const fieldOfViewDegrees = 28;
/** How fast the view catches up with the pointer, per second. */
const catchUpRate = 7.7;

/** The camera: framed on the robot, turned by the pointer, following where the robot goes. */
export class CameraRig {
  readonly camera = new PerspectiveCamera(fieldOfViewDegrees, 1, 0.01, 200);
  readonly #controls: OrbitControls;
  #framing: Framing | undefined;
  readonly #target: [number, number, number] = [0, 0, 0];
  readonly #wanted: [number, number, number] = [0, 0, 0];
  readonly #offset = new Vector3();
  readonly #onView: (view: View) => void;
  /** The view that is already known outside. */
  #known: View | undefined;

  /**
   * @param onChange something about the view has changed and wants to be drawn
   * @param onView a person has turned the view
   */
  constructor(canvas: HTMLElement, onChange: () => void, onView: (view: View) => void) {
    this.#onView = onView;
    this.camera.up.set(0, 0, 1);
    this.#controls = new OrbitControls(this.camera, canvas);
    this.#controls.enableDamping = true;
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

  /** Whether dragging turns the view. */
  set enabled(enabled: boolean) {
    this.#controls.enabled = enabled;
  }

  /** The view, wherever the robot is. */
  get view(): View {
    this.#offset.subVectors(this.camera.position, this.#controls.target);
    return viewOf(this.#offset, this.#fitting);
  }

  /** Looks at the robot in another way; nobody is told of it. */
  set view(view: View) {
    this.#settle();
    offsetOf(view, this.#fitting, this.#offset);
    this.camera.position.addVectors(this.#controls.target, this.#offset);
    this.#controls.update();
    this.#known = this.view;
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
    this.#settle();
    const { radius, direction, center } = framing;
    [this.#target[0], this.#target[1], this.#target[2]] = center;
    const away = this.#fittingDistance(radius);
    this.#controls.target.set(...center);
    this.camera.position.set(...center).addScaledVector(new Vector3(...direction), -away);
    this.camera.near = away / 100;
    this.camera.far = away * 40;
    this.camera.updateProjectionMatrix();
    this.#controls.minDistance = 0.25 * radius;
    this.#controls.maxDistance = 12 * radius;
    this.#controls.update();
    this.#known = this.view;
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
    this.#known = this.#framing && this.view;
  }

  /** Follows the robot's centre of mass, at `at` in a snapshot, for one frame; the person's own view angle and distance stay. */
  follow(poses: Float32Array, at: number, elapsedSecs: number): void {
    if (!this.#framing) return;
    const { center, focus: reference, radius } = this.#framing;
    for (let i = 0; i < 3; i += 1) this.#wanted[i] = (center[i] ?? 0) + (poses[at + i] ?? 0) - (reference[i] ?? 0);
    const [x, y, z] = this.#target;
    followStep(this.#target, this.#wanted, radius, elapsedSecs);
    this.#offset.set(this.#target[0] - x, this.#target[1] - y, this.#target[2] - z);
    this.camera.position.add(this.#offset);
    this.#controls.target.add(this.#offset);
  }

  /** Catches up with the pointer for one frame; says whether the view still moves. Tells of a view that a person has turned. */
  update(elapsedSecs: number): boolean {
    // By time, not by frame: where few frames are drawn, the view must not lag behind.
    this.#controls.dampingFactor = 1 - Math.exp(-catchUpRate * elapsedSecs);
    const moves = this.#controls.update();
    const { view } = this;
    if (this.#known && !isSameView(view, this.#known)) {
      this.#known = view;
      this.#onView(view);
    }
    return moves;
  }

  dispose(): void {
    this.#controls.dispose();
  }

  /** Ends what a drag still has to turn, which would carry on from wherever the view is set to. */
  #settle(): void {
    this.#controls.enableDamping = false;
    this.#controls.update();
    this.#controls.enableDamping = true;
  }

  get #fitting(): number {
    return this.#fittingDistance(this.radius);
  }

  #fittingDistance(radius: number): number {
    const vertical = ((fieldOfViewDegrees / 2) * Math.PI) / 180;
    const horizontal = Math.atan(Math.tan(vertical) * this.camera.aspect);
    return (1.2 * radius) / Math.sin(Math.min(vertical, horizontal));
  }
}
