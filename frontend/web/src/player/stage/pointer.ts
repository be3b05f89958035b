import { type Camera, Vector2 } from "three";
import type { Grab } from "../protocol";
import type { Part } from "./parts";
import { hitAt, hitByFinger, Pull } from "./pulling";

export interface PointerOptions {
  readonly camera: Camera;
  /** What is on stage now. */
  readonly parts: () => readonly Part[];
  /** Dragging pulls from here on, or turns the view again. */
  readonly onPulling: (pulling: boolean) => void;
  /** Something wants to be drawn. */
  readonly onChange: () => void;
  /** A pull begins, moves, or ends with null. */
  readonly onGrab: (grab: Grab | null) => void;
}

/** Half of what a fingertip covers, in CSS pixels: a pole is thinner than that. */
const FINGERTIP = 18;

/** Marks events that are sent on to the view's own controls and are none of ours. */
const passedOn = new WeakSet<Event>();

/**
 * Dragging on the robot pulls it; dragging elsewhere is left to the view. A second finger ends the pull and both turn to the
 * view, so that two fingers zoom wherever they begin.
 */
export class PointerHand {
  readonly #canvas: HTMLCanvasElement;
  readonly #options: PointerOptions;
  readonly #ended = new AbortController();
  readonly #pointer = new Vector2();
  #grabbable = true;
  #hovering = false;
  #moved = false;
  #pull: Pull | undefined;
  #began: PointerEvent | undefined;
  #hovered = -1;

  constructor(canvas: HTMLCanvasElement, options: PointerOptions) {
    this.#canvas = canvas;
    this.#options = options;
    const { signal } = this.#ended;
    // Before the view's controls, which listen on the same element.
    canvas.addEventListener("pointerdown", (event) => this.#down(event), { signal, capture: true });
    canvas.addEventListener("pointermove", (event) => this.#move(event), { signal });
    canvas.addEventListener("pointerleave", () => this.#leave(), { signal });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      canvas.addEventListener(type, (event) => event.pointerId === this.#pull?.pointerId && this.release(), { signal });
    }
    addEventListener("keydown", ({ key }) => key === "Escape" && this.release(), { signal });
    addEventListener("blur", () => this.release(), { signal });
  }

  /** Whether dragging on the robot pulls it. */
  set grabbable(grabbable: boolean) {
    this.#grabbable = grabbable;
    if (grabbable) return;
    this.release();
    this.#hovered = -1;
    this.#canvas.style.cursor = "";
  }

  get pull(): Pull | undefined {
    return this.#pull;
  }

  /** The body that is held or would be seized; -1 for none. */
  get body(): number {
    return this.#pull?.part.body ?? this.#hovered;
  }

  /** Follows what has moved, once a frame. */
  update(): void {
    const { camera, parts, onGrab } = this.#options;
    if (this.#pull) {
      if (this.#pull.update(this.#pointer, camera)) onGrab(this.#pull.grab);
    } else if (this.#hovering && this.#grabbable && this.#moved) {
      this.#moved = false;
      const hit = hitAt(this.#pointer, camera, parts());
      this.#hovered = hit?.part.body ?? -1;
      this.#canvas.style.cursor = hit ? "grab" : "";
    }
  }

  /** Lets go of the robot. */
  release(): void {
    const pull = this.#pull;
    if (!pull) return;
    this.#pull = undefined;
    this.#began = undefined;
    this.#hovered = -1;
    this.#moved = true;
    this.#canvas.style.cursor = "";
    if (this.#canvas.hasPointerCapture(pull.pointerId)) this.#canvas.releasePointerCapture(pull.pointerId);
    this.#options.onPulling(false);
    this.#options.onGrab(null);
    this.#options.onChange();
  }

  dispose(): void {
    this.release();
    this.#ended.abort();
  }

  #down(event: PointerEvent): void {
    if (passedOn.has(event)) return;
    if (this.#pull) {
      this.#giveOver(event);
      return;
    }
    const { camera, parts, onPulling, onGrab, onChange } = this.#options;
    if (!this.#grabbable || event.button !== 0 || !event.isPrimary) return;
    this.#aim(event);
    const hit =
      event.pointerType === "touch"
        ? hitByFinger(this.#pointer, this.#fingertip(), camera, parts())
        : hitAt(this.#pointer, camera, parts());
    if (!hit) {
      this.#hovering = false;
      return;
    }
    this.#pull = new Pull(hit, event.pointerId, camera);
    this.#began = event;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#canvas.style.cursor = "grabbing";
    onPulling(true);
    onGrab(this.#pull.grab);
    onChange();
  }

  /** A second finger has come: the first one's touch is told to the view's controls, which have not heard of it. */
  #giveOver(second: PointerEvent): void {
    const first = this.#began;
    if (second.pointerType !== "touch" || !first) return;
    this.release();
    const again = new PointerEvent("pointerdown", {
      bubbles: true,
      pointerId: first.pointerId,
      pointerType: first.pointerType,
      isPrimary: true,
      button: 0,
      buttons: 1,
      clientX: first.clientX,
      clientY: first.clientY,
    });
    passedOn.add(again);
    this.#canvas.dispatchEvent(again);
  }

  #move(event: PointerEvent): void {
    if (this.#pull && event.pointerId !== this.#pull.pointerId) return;
    this.#aim(event);
    // A pressed button without a pull turns the view: nothing is to be seized.
    this.#hovering = event.pointerType !== "touch" && event.buttons === 0;
    this.#moved = true;
    if (this.#pull || (this.#hovering && this.#grabbable)) this.#options.onChange();
  }

  #leave(): void {
    if (this.#pull) return;
    this.#hovering = false;
    this.#hovered = -1;
    this.#options.onChange();
  }

  #fingertip(): Vector2 {
    const { width, height } = this.#canvas.getBoundingClientRect();
    return new Vector2((2 * FINGERTIP) / width, (2 * FINGERTIP) / height);
  }

  #aim({ clientX, clientY }: PointerEvent): void {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    this.#pointer.set((2 * (clientX - left)) / width - 1, 1 - (2 * (clientY - top)) / height);
  }
}
