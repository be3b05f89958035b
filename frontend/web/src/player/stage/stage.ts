import { PCFShadowMap, Scene, WebGLRenderer } from "three";
import { PlayerError } from "../errors";
import { type SceneDescription, snapshotOffsets } from "../sceneDescription";
import { CameraRig } from "./cameraRig";
import { frameScene, isShown, pointAt } from "./framing";
import { Ground } from "./ground";
import { Lighting } from "./lighting";
import { readPalette } from "./palette";
import { Quality } from "./quality";
import { Robot } from "./robot";
import { type PosedMoment, SnapshotRing } from "./snapshotRing";

export type Theme = "light" | "dark";

/** What is on the stage while one scene is loaded. */
interface Set {
  readonly robot: Robot;
  readonly lighting: Lighting;
  readonly ground: Ground | undefined;
  readonly ring: SnapshotRing;
  readonly focusAt: number;
}

/** Draws the robot from snapshots into a canvas that fills its container. Frames are drawn only when something has changed. */
export class Stage {
  readonly canvas: HTMLCanvasElement;
  readonly #container: HTMLElement;
  readonly #recycle: (poses: Float32Array<ArrayBuffer>) => void;
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #rig: CameraRig;
  readonly #resizes: ResizeObserver;
  readonly #quality = new Quality(devicePixelRatio);
  #set: Set | undefined;
  #theme: Theme;
  #frame = 0;
  #lastFrameMs = 0;

  /** @throws PlayerError WEBGL_FAILED */
  constructor(container: HTMLElement, theme: Theme, recycle: (poses: Float32Array<ArrayBuffer>) => void) {
    this.#container = container;
    this.#theme = theme;
    this.#recycle = recycle;
    try {
      this.#renderer = new WebGLRenderer({ antialias: true, alpha: true, powerPreference: "high-performance" });
    } catch (error) {
      throw PlayerError.from(error, "WEBGL_FAILED", "This browser gives no 3D drawing; turn hardware acceleration on");
    }
    this.#renderer.shadowMap.enabled = true;
    this.#renderer.shadowMap.type = PCFShadowMap;
    this.#renderer.setPixelRatio(this.#quality.pixelRatio);
    this.canvas = this.#renderer.domElement;
    this.canvas.style.cssText = "position:absolute;inset:0;width:100%;height:100%;display:block;touch-action:none";
    container.append(this.canvas);
    this.#rig = new CameraRig(this.canvas, () => this.#schedule());
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(container);
    this.#resize();
  }

  /** Replaces what is on stage. */
  setScene(description: SceneDescription): void {
    this.#strike();
    const framing = frameScene(description);
    const floor = floorIndex(description);
    const ground = floor < 0 ? undefined : new Ground(description.referencePoses[7 * floor + 2] ?? 0, framing.radius);
    const set: Set = {
      robot: new Robot(description, floor),
      lighting: new Lighting(framing.radius),
      ground,
      ring: new SnapshotRing(description.layout, this.#recycle),
      focusAt: snapshotOffsets(description.layout).focus,
    };
    this.#scene.add(set.robot.object, set.lighting.object);
    if (ground) this.#scene.add(ground.object);
    this.#set = set;
    this.#rig.frame(framing, ground !== undefined);
    this.setTheme(this.#theme);
  }

  setTheme(theme: Theme): void {
    this.#theme = theme;
    const palette = readPalette(this.#container, theme);
    this.#set?.lighting.setPalette(palette);
    this.#set?.ground?.setPalette(palette);
    this.#set?.robot.setPaints(palette.paints);
    this.#schedule();
  }

  /** Takes a snapshot over; its buffer is given back when it is no longer drawn. */
  push(moment: PosedMoment): void {
    if (this.#set) this.#set.ring.push(moment);
    else this.#recycle(moment.poses);
    this.#schedule();
  }

  resetCamera(): void {
    this.#rig.reset();
    this.#schedule();
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#strike();
    this.#resizes.disconnect();
    this.#rig.dispose();
    this.#renderer.dispose();
    // Browsers allow few contexts at once and free them late by themselves.
    this.#renderer.forceContextLoss();
    this.canvas.remove();
  }

  #strike(): void {
    const set = this.#set;
    if (!set) return;
    this.#set = undefined;
    this.#scene.clear();
    set.ring.clear();
    set.robot.dispose();
    set.lighting.dispose();
    set.ground?.dispose();
  }

  #schedule(): void {
    this.#frame ||= requestAnimationFrame((nowMs) => {
      this.#frame = 0;
      this.#draw(nowMs);
    });
  }

  #draw(nowMs: number): void {
    const set = this.#set;
    if (!set) return;
    const elapsedMs = nowMs - this.#lastFrameMs;
    this.#lastFrameMs = nowMs;
    const shown = set.ring.at(performance.timeOrigin + nowMs);
    if (shown) {
      set.robot.pose(shown.poses);
      this.#rig.follow(pointAt(shown.poses, set.focusAt), Math.min(0.1, elapsedMs / 1000));
    }
    set.lighting.moveTo(this.#rig.target);
    set.ground?.moveTo(this.#rig.target);
    const viewMoves = this.#rig.update();
    this.#renderer.render(this.#scene, this.#rig.camera);
    if (shown?.settled === false || viewMoves) this.#schedule();
    if (shown?.settled === false && this.#quality.frameTook(elapsedMs)) {
      this.#renderer.setPixelRatio(this.#quality.pixelRatio);
      this.#renderer.render(this.#scene, this.#rig.camera);
    }
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#container;
    if (width === 0 || height === 0) return;
    this.#renderer.setSize(width, height, false);
    this.#rig.resize(width / height);
    // A new size empties the canvas: it is drawn at once, so that nobody sees it empty.
    if (this.#set) this.#renderer.render(this.#scene, this.#rig.camera);
    this.#schedule();
  }
}

/** The widest level plane, which is drawn as a floor without end; -1 when there is none. */
function floorIndex({ geoms, referencePoses }: SceneDescription): number {
  const candidates = geoms
    .map((shape, i) => ({ shape, i, tilt: Math.hypot(referencePoses[7 * i + 3] ?? 0, referencePoses[7 * i + 4] ?? 0) }))
    .filter(({ shape, tilt }) => shape.shape === "plane" && isShown(shape) && shape.body === 0 && tilt < 0.01);
  const area = ({ shape }: (typeof candidates)[number]) => (shape.size[0] || 1e3) * (shape.size[1] || 1e3);
  return candidates.sort((a, b) => area(b) - area(a))[0]?.i ?? -1;
}
