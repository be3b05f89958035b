import { Scene, type WebGLRenderer } from "three";
import { PlayerError } from "../errors";
import type { Grab } from "../protocol";
import { type SceneDescription, snapshotOffsets } from "../sceneDescription";
import { CameraRig } from "./cameraRig";
import { ContactArrows } from "./contacts";
import { frameScene, isShown } from "./framing";
import { Ground } from "./ground";
import { Lighting } from "./lighting";
import { readPalette } from "./palette";
import { PointerHand } from "./pointer";
import { Highlight, PullMark } from "./pullMark";
import { Quality } from "./quality";
import { drawEvent, drawnEvent, drawTile } from "./recording";
import { compiled, startRenderer } from "./renderer";
import { Robot } from "./robot";
import { type PosedMoment, SnapshotRing } from "./snapshotRing";
import type { View } from "./view";

export type Theme = "light" | "dark";

/** What a stage tells of. */
export interface StageEvents {
  /** A person pulls at the robot; null when it is let go. */
  readonly onGrab?: (grab: Grab | null) => void;
  /** A person has turned the view. */
  readonly onView?: (view: View) => void;
  /** The scene cannot be drawn, or the browser took the drawing away. */
  readonly onLost?: (error: PlayerError) => void;
  /** The scene is about to be drawn for the first time. */
  readonly onShown?: () => void;
}

/** What is on the stage while one scene is loaded. */
interface Set {
  readonly robot: Robot;
  readonly lighting: Lighting;
  readonly ground: Ground | undefined;
  readonly arrows: ContactArrows;
  readonly mark: PullMark;
  readonly highlight: Highlight;
  readonly ring: SnapshotRing;
  readonly focusAt: number;
  /** Whether it can be drawn; before, the stage is empty. */
  isReady: boolean;
}

/** Nearer than this part of the default distance, meshes are drawn in full detail. */
const nearDistance = 0.45;
/** Time in one frame for making finer meshes. */
const refiningMs = 6;
/** Time in one turn for making the triangles of a new scene. */
const buildingMs = 8;
/** Pixels a point of a picture that is saved. */
const pictureRatio = 2;

/** Draws the robot from snapshots into a canvas that fills its container. Frames are drawn only when something has changed. */
export class Stage {
  readonly canvas: HTMLCanvasElement;
  readonly #container: HTMLElement;
  readonly #recycle: (poses: Float32Array<ArrayBuffer>) => void;
  readonly #renderer: WebGLRenderer;
  readonly #scene = new Scene();
  readonly #rig: CameraRig;
  readonly #hand: PointerHand;
  readonly #resizes: ResizeObserver;
  readonly #ended = new AbortController();
  readonly #quality: Quality;
  readonly #events: StageEvents;
  #set: Set | undefined;
  #entering: Promise<void> = Promise.resolve();
  #theme: Theme;
  #frame = 0;
  #size = "";
  #shadowIsOld = true;
  #lastFrameMs = 0;

  /** @throws PlayerError WEBGL_FAILED */
  constructor(
    container: HTMLElement,
    theme: Theme,
    recycle: (poses: Float32Array<ArrayBuffer>) => void,
    events: StageEvents = {},
  ) {
    this.#container = container;
    this.#theme = theme;
    this.#recycle = recycle;
    this.#events = events;
    const { renderer, software } = startRenderer();
    this.#renderer = renderer;
    this.#quality = new Quality(devicePixelRatio, software ? navigator.hardwareConcurrency : 0);
    this.#renderer.setPixelRatio(this.#quality.pixelRatio);
    this.canvas = this.#renderer.domElement;
    this.canvas.style.cssText = "position:absolute;inset:0;width:100%;height:100%;display:block;touch-action:none";
    container.append(this.canvas);
    const onChange = () => this.#schedule();
    // The hand listens before the controls do, so that a drag that begins on the robot never turns the view.
    const parts = () => this.#set?.robot.parts ?? [];
    this.#rig = new CameraRig(this.canvas, onChange, (view) => events.onView?.(view));
    this.#hand = new PointerHand(this.canvas, {
      camera: this.#rig.camera,
      parts,
      onChange,
      onPulling: (pulling) => {
        this.#rig.enabled = !pulling;
      },
      onGrab: (grab) => events.onGrab?.(grab),
    });
    // Without anybody who is told of pulls, a drag on the robot turns the view as everywhere else.
    this.#hand.grabbable = events.onGrab !== undefined;
    this.#listen(events);
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(container);
    this.#resize();
  }

  /** Replaces what is on stage. The new scene is drawn when all of it is made. */
  setScene(description: SceneDescription): void {
    this.#strike();
    const framing = frameScene(description);
    const { radius } = framing;
    const floor = floorIndex(description);
    const ground = floor < 0 ? undefined : new Ground(description.referencePoses[7 * floor + 2] ?? 0, radius);
    const set: Set = {
      robot: new Robot(description, floor),
      lighting: new Lighting(radius, this.#quality.shadowPixels),
      ground,
      arrows: new ContactArrows(description.weightNewtons, radius),
      mark: new PullMark(radius),
      highlight: new Highlight(),
      ring: new SnapshotRing(description.layout, this.#recycle),
      focusAt: snapshotOffsets(description.layout).focus,
      isReady: false,
    };
    const { robot, lighting, arrows, mark, highlight } = set;
    this.#scene.add(robot.object, lighting.object, arrows.object, mark.object, highlight.object);
    if (ground) this.#scene.add(ground.object);
    this.#set = set;
    this.#rig.frame(framing, ground !== undefined);
    this.setTheme(this.#theme);
    this.#entering = this.#enter(set).catch((error: unknown) => {
      if (this.#set === set)
        this.#events.onLost?.(PlayerError.from(error, "WEBGL_FAILED", "The robot cannot be drawn"));
    });
  }

  setTheme(theme: Theme): void {
    this.#theme = theme;
    const palette = readPalette(this.#container, theme);
    const set = this.#set;
    this.#shadowIsOld = true;
    set?.lighting.setPalette(palette);
    set?.ground?.setPalette(palette);
    set?.robot.setPaints(palette.paints, palette.darkest);
    set?.arrows.setColor(palette.force);
    set?.mark.setColors(palette.paints.citron, palette.ink);
    set?.highlight.setPaints(palette.paints);
    this.#schedule();
  }

  /** Takes a snapshot over; its buffer is given back when it is no longer drawn. */
  push(moment: PosedMoment): void {
    if (this.#set) this.#set.ring.push(moment);
    else this.#recycle(moment.poses);
    this.#shadowIsOld = true;
    this.#schedule();
  }

  /** Whether dragging on the robot pulls it; without, it turns the view. */
  set grabbable(grabbable: boolean) {
    this.#hand.grabbable = grabbable;
    this.#schedule();
  }

  /** How the robot is looked at. Setting it tells nobody. */
  get view(): View {
    return this.#rig.view;
  }

  set view(view: View) {
    this.#rig.view = view;
    this.#schedule();
  }

  resetCamera(): void {
    this.#rig.reset();
    this.#schedule();
  }

  /** Triangles in the last frame, those drawn for shadows included. */
  get triangles(): number {
    return this.#renderer.info.render.triangles;
  }

  /** Drawing calls in the last frame. */
  get drawCalls(): number {
    return this.#renderer.info.render.calls;
  }

  /**
   * A PNG of what is on screen, in full detail, over the stage's background.
   *
   * @throws PlayerError WEBGL_FAILED
   */
  async picture(): Promise<Blob> {
    await this.#entering;
    const sheet = document.createElement("canvas");
    const pen = sheet.getContext("2d");
    const { clientWidth, clientHeight } = this.#container;
    [sheet.width, sheet.height] = [pictureRatio * clientWidth, pictureRatio * clientHeight];
    this.#set?.robot.refine(Number.POSITIVE_INFINITY);
    this.#set?.robot.setDetail("fine");
    this.#renderer.shadowMap.needsUpdate = true;
    this.#renderer.setPixelRatio(pictureRatio);
    this.#render();
    if (pen) drawTile(pen, this.canvas, { x: 0, y: 0, width: sheet.width, height: sheet.height });
    this.#renderer.setPixelRatio(this.#quality.pixelRatio);
    this.#render();
    this.#schedule();
    const blob = await new Promise<Blob | null>((resolve) => sheet.toBlob(resolve, "image/png"));
    if (!blob)
      throw new PlayerError("WEBGL_FAILED", "The browser gives no picture. Make the window smaller and try again.");
    return blob;
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#ended.abort();
    this.#hand.dispose();
    this.#strike();
    this.#resizes.disconnect();
    this.#rig.dispose();
    this.#renderer.dispose();
    // Browsers allow few contexts at once and free them late by themselves.
    this.#renderer.forceContextLoss();
    this.canvas.remove();
    cancelAnimationFrame(this.#frame);
  }

  #listen({ onLost }: StageEvents): void {
    const { signal } = this.#ended;
    // three makes everything anew by itself once the context is back.
    this.canvas.addEventListener(
      "webglcontextlost",
      () => {
        const message = "The browser took the 3D drawing away. Reload the page if the robot does not come back.";
        onLost?.(new PlayerError("WEBGL_FAILED", message));
      },
      { signal },
    );
    this.canvas.addEventListener(
      "webglcontextrestored",
      () => {
        this.#shadowIsOld = true;
        this.#schedule();
      },
      { signal },
    );
    this.canvas.addEventListener(drawEvent, () => this.#schedule(), { signal });
  }

  /** Makes a scene ready to be drawn, a little in each turn, while the graphics card's programs are compiled elsewhere. */
  async #enter(set: Set): Promise<void> {
    const isHere = () => this.#set === set;
    while (isHere() && !set.robot.build(performance.now() + buildingMs)) await turn();
    if (!isHere()) return;
    await compiled(this.#renderer, this.#scene, this.#rig.camera, [
      set.robot.object,
      ...(set.ground ? [set.ground.object] : []),
    ]);
    for (const texture of set.robot.textures) {
      await turn();
      if (isHere()) this.#renderer.initTexture(texture);
    }
    // Each asks the graphics card a hundred things, and waits for the answers.
    for (const program of isHere() ? [...(this.#renderer.info.programs ?? [])] : []) {
      await turn();
      if (isHere()) program.getUniforms();
    }
    if (!isHere()) return;
    set.isReady = true;
    this.#events.onShown?.();
    this.#schedule();
  }

  #strike(): void {
    const set = this.#set;
    if (!set) return;
    this.#hand.release();
    this.#set = undefined;
    this.#scene.clear();
    set.ring.clear();
    for (const part of [set.robot, set.lighting, set.ground, set.arrows, set.mark, set.highlight]) part?.dispose();
  }

  #schedule(): void {
    this.#frame ||= requestAnimationFrame((nowMs) => {
      this.#frame = 0;
      this.#draw(nowMs);
    });
  }

  #draw(nowMs: number): void {
    const set = this.#set;
    if (!set?.isReady) return;
    const elapsedMs = nowMs - this.#lastFrameMs;
    this.#lastFrameMs = nowMs;
    const shown = set.ring.at(performance.timeOrigin + nowMs);
    if (shown) {
      set.robot.pose(shown.poses);
      set.arrows.show(shown.contacts);
      this.#rig.follow(shown.poses, set.focusAt, elapsedMs / 1000);
    }
    const lightMoves = set.lighting.moveTo(this.#rig.target);
    set.ground?.moveTo(this.#rig.target);
    const viewMoves = this.#rig.update(elapsedMs / 1000);
    this.#showHand(set);
    const refined = this.#chooseDetail(set);
    const moving = shown?.settled === false;
    // While only the view turns, the shadow stays as it is.
    this.#shadowIsOld ||= moving || lightMoves || !refined;
    this.#renderer.shadowMap.needsUpdate = this.#shadowIsOld;
    this.#shadowIsOld = moving;
    this.#render();
    if (moving || viewMoves || !refined) this.#schedule();
    if (this.#quality.frameTook(elapsedMs, moving)) {
      this.#renderer.setPixelRatio(this.#quality.pixelRatio);
      set.lighting.setShadowPixels(this.#quality.shadowPixels);
      this.#renderer.shadowMap.needsUpdate = true;
      this.#render();
    }
  }

  #showHand({ mark, highlight, robot }: Set): void {
    this.#rig.camera.updateMatrixWorld();
    this.#hand.update();
    const { pull, body } = this.#hand;
    if (pull) mark.show(pull.from, pull.target);
    else mark.hide();
    highlight.mark(body, robot.parts);
    highlight.follow();
  }

  /** Says whether the detail that is wanted is made. */
  #chooseDetail({ robot }: Set): boolean {
    const detail = this.#quality.affordsDetail || this.#rig.view.distance < nearDistance ? "fine" : "simple";
    robot.setDetail(detail);
    return detail === "simple" || robot.refine(performance.now() + refiningMs);
  }

  #render(): void {
    this.#renderer.render(this.#scene, this.#rig.camera);
    this.canvas.dispatchEvent(new Event(drawnEvent));
  }

  #resize(): void {
    const { clientWidth: width, clientHeight: height } = this.#container;
    const size = `${width} ${height} ${this.#renderer.getPixelRatio()}`;
    // To give a canvas its size again, even the same one, makes its picture anew and waits for all that is being drawn.
    if (width === 0 || height === 0 || size === this.#size) return;
    this.#size = size;
    this.#renderer.setSize(width, height, false);
    this.#rig.resize(width / height);
    // A new size empties the canvas: it is drawn at once, so that nobody sees it empty.
    if (this.#set?.isReady) this.#render();
    this.#schedule();
  }
}

/** Lets the page do what else it has to. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** The widest level plane, which is drawn as a floor without end; -1 when there is none. */
function floorIndex({ geoms, referencePoses }: SceneDescription): number {
  const candidates = geoms
    .map((shape, i) => ({ shape, i, tilt: Math.hypot(referencePoses[7 * i + 3] ?? 0, referencePoses[7 * i + 4] ?? 0) }))
    .filter(({ shape, tilt }) => shape.shape === "plane" && isShown(shape) && shape.body === 0 && tilt < 0.01);
  const area = ({ shape }: (typeof candidates)[number]) => (shape.size[0] || 1e3) * (shape.size[1] || 1e3);
  return candidates.sort((a, b) => area(b) - area(a))[0]?.i ?? -1;
}
