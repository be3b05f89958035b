import { PlayerClient } from "./client";
import { PlayerError } from "./errors";
import { LaneStage } from "./laneStage";
import type { StageListener } from "./listener";
import type { ControllerFiles, Grab, HeldCommands, SceneFiles } from "./protocol";
import { type Recording, type RecordingOptions, recordCanvases } from "./stage/recording";
import type { Theme } from "./stage/stage";
import type { View } from "./stage/view";
import { exposeForTests } from "./testHook";

/** A worker, and a stage for each of its lanes that has a container on the page. Their cameras move together. */
export class PlayerSession {
  readonly #client: PlayerClient;
  readonly #lanes = new Map<number, LaneStage>();
  readonly #hidden: AbortController = new AbortController();
  readonly #hook: ReturnType<typeof exposeForTests>;
  #playing = false;
  #grabbable = true;

  /** `artifacts` is the folder from which files are read by digest; the gateway's if left out. */
  constructor(artifacts?: string) {
    this.#client = new PlayerClient({
      artifacts,
      on: {
        sceneReady: (report) => {
          this.#lanes.get(report.lane)?.enter(report);
          if (report.lane === 0) this.#hook.scene = report.description.environmentId;
        },
        controllerReady: (report) => this.#lanes.get(report.lane)?.take(report),
        snapshot: (report) => {
          this.#hook.show(report.lane, report.tick);
          const lane = this.#lanes.get(report.lane);
          if (lane) lane.show(report, this.#playing);
          else this.#client.recycle(report.poses, report.lane);
        },
        failed: ({ lane, doing, fault }) => this.#lanes.get(lane)?.fail(doing, PlayerError.fromFault(fault)),
      },
      onCrash: (error) => this.#lanes.values().next().value?.fail("scene", error),
    });
    this.#hook = exposeForTests({
      rollOut: (spec) => this.#client.rollOut(spec),
      drawn: () => {
        const stages = this.#stages;
        const sum = (count: (stage: (typeof stages)[number]) => number) =>
          stages.reduce((total, stage) => total + count(stage), 0);
        return { triangles: sum((stage) => stage.triangles), drawCalls: sum((stage) => stage.drawCalls) };
      },
      views: () => this.#stages.map(({ view }) => view),
    });
    const { signal } = this.#hidden;
    document.addEventListener("visibilitychange", () => this.#applyPlaying(), { signal });
  }

  /** Draws a lane into a container until it is detached. */
  attach(lane: number, container: HTMLElement, theme: Theme, listener: StageListener): void {
    this.detach(lane);
    const made = new LaneStage({
      container,
      theme,
      listener,
      recycle: (poses) => this.#client.recycle(poses, lane),
      onGrab: (grab) => this.#grab(lane, grab),
      onView: (view) => this.#showAll(lane, view),
      onFailed: (error) => this.#hook.fail(error.toFault()),
    });
    this.#lanes.set(lane, made);
    if (made.stage) made.stage.grabbable = this.#grabbable;
  }

  detach(lane: number): void {
    this.#lanes.get(lane)?.dispose();
    this.#lanes.delete(lane);
  }

  listen(lane: number, listener: StageListener): void {
    this.#lanes.get(lane)?.listen(listener);
  }

  /** How many robots there are; one from the start. */
  setLanes(lanes: number): void {
    this.#client.setLanes(lanes);
    this.#hook.setLanes(lanes);
  }

  loadScene(lane: number, scene: SceneFiles): void {
    this.#client.loadScene(scene, lane);
  }

  setController(lane: number, controller: ControllerFiles | null): void {
    this.#client.setController(controller, lane);
  }

  setCommands(lane: number, commands: HeldCommands | null): void {
    this.#client.setCommands(commands, lane);
  }

  setPlaying(playing: boolean): void {
    this.#playing = playing;
    this.#applyPlaying();
  }

  setSpeed(speed: number): void {
    this.#client.setSpeed(speed);
  }

  setNoise(noise: boolean): void {
    this.#client.setDraws(noise ? "random" : "none");
  }

  setContacts(contacts: boolean): void {
    this.#client.setContacts(contacts);
  }

  /** Whether dragging on a robot pulls it. */
  setGrabbable(grabbable: boolean): void {
    this.#grabbable = grabbable;
    for (const stage of this.#stages) stage.grabbable = grabbable;
  }

  setTheme(theme: Theme): void {
    for (const stage of this.#stages) stage.setTheme(theme);
  }

  reset(): void {
    this.#client.reset();
  }

  stepOnce(): void {
    this.#client.step();
  }

  shove(directions: readonly (readonly [number, number, number])[], speed: number): void {
    this.#client.shove(directions, speed);
  }

  setJoint(lane: number, qposIndex: number, value: number): void {
    this.#client.setJoint(qposIndex, value, lane);
  }

  setCtrl(lane: number, values: readonly number[] | null): void {
    this.#client.setCtrl(values, lane);
  }

  resetCamera(): void {
    for (const stage of this.#stages) stage.resetCamera();
  }

  /**
   * A PNG of what is on screen, the lanes beside each other.
   *
   * @throws PlayerError WEBGL_FAILED
   */
  async picture(): Promise<Blob> {
    const [first, ...others] = this.#stages;
    if (!first) throw new PlayerError("WEBGL_FAILED", "There is no robot to take a picture of yet.");
    if (others.length === 0) return first.picture();
    return besideEachOther(await Promise.all([first, ...others].map((stage) => stage.picture())));
  }

  /**
   * Records a video of all lanes until it is stopped, or for two minutes.
   *
   * @throws PlayerError RECORDING_UNSUPPORTED
   */
  record(options: RecordingOptions = {}): Recording {
    return recordCanvases(
      this.#stages.map(({ canvas }) => canvas),
      options,
    );
  }

  dispose(): void {
    this.#hidden.abort();
    this.#hook.withdraw();
    this.#client.dispose();
    for (const lane of this.#lanes.keys()) this.detach(lane);
  }

  get #stages() {
    const inOrder = [...this.#lanes].sort(([a], [b]) => a - b);
    return inOrder.flatMap(([, { stage }]) => (stage ? [stage] : []));
  }

  #grab(lane: number, grab: Grab | null): void {
    this.#client.grab(grab, lane);
  }

  #showAll(from: number, view: View): void {
    for (const [lane, { stage }] of this.#lanes) if (stage && lane !== from) stage.view = view;
  }

  /** A tab in the background does not draw, so the robot waits there too. */
  #applyPlaying(): void {
    this.#client.setPlaying(this.#playing && !document.hidden);
  }
}

/** Puts pictures of one height beside each other. */
async function besideEachOther(pictures: readonly Blob[]): Promise<Blob> {
  const images = await Promise.all(pictures.map((picture) => createImageBitmap(picture)));
  const sheet = new OffscreenCanvas(
    images.reduce((width, image) => width + image.width, 0),
    Math.max(...images.map(({ height }) => height)),
  );
  const pen = sheet.getContext("2d");
  let x = 0;
  for (const image of images) {
    pen?.drawImage(image, x, 0);
    x += image.width;
    image.close();
  }
  return sheet.convertToBlob({ type: "image/png" });
}
