import { PlayerError } from "./errors";
import type { StageListener } from "./listener";
import type { Grab, PlayerTick, Report } from "./protocol";
import { drawnTriangles } from "./sceneDescription";
import { Stage, type Theme } from "./stage/stage";
import type { View } from "./stage/view";

/** The page is told of ticks at most this often; a meter that moves faster cannot be read. */
const tickGapMs = 66;

type Of<Type extends Report["type"]> = Extract<Report, { type: Type }>;

export interface LaneStageOptions {
  readonly container: HTMLElement;
  readonly theme: Theme;
  readonly recycle: (poses: Float32Array<ArrayBuffer>) => void;
  readonly onGrab: (grab: Grab | null) => void;
  readonly onView: (view: View) => void;
  readonly listener: StageListener;
  readonly onFailed: (error: PlayerError) => void;
}

/** One robot on the page: what it is drawn on, and who is told of it. */
export class LaneStage {
  readonly stage: Stage | undefined;
  readonly #recycle: (poses: Float32Array<ArrayBuffer>) => void;
  readonly #onFailed: (error: PlayerError) => void;
  #listener: StageListener;
  #lastTickMs = 0;
  /** Tells that the scene is there, once it can be seen. */
  #tellReady: (() => void) | undefined;
  #lastTold: Pick<PlayerTick, "ended" | "grabbed"> = { ended: "", grabbed: false };

  constructor({ container, theme, recycle, onGrab, onView, listener, onFailed }: LaneStageOptions) {
    this.#recycle = recycle;
    this.#listener = listener;
    this.#onFailed = onFailed;
    const onLost = (error: PlayerError) => this.fail("scene", error);
    try {
      this.stage = new Stage(container, theme, recycle, { onGrab, onView, onLost, onShown: () => this.#shown() });
    } catch (error) {
      this.fail("scene", PlayerError.from(error, "WEBGL_FAILED", "The robot cannot be drawn"));
    }
  }

  listen(listener: StageListener): void {
    this.#listener = listener;
  }

  enter({ description, sizes, joints, actuators, loadSecs }: Of<"sceneReady">): void {
    const { environmentId } = description;
    const triangles = drawnTriangles(description);
    this.#tellReady = () => this.#listener.onReady?.({ environmentId, sizes, joints, actuators, triangles, loadSecs });
    if (this.stage) this.stage.setScene(description);
    else this.#shown();
  }

  take({ controllerSha256, commands, loadSecs }: Of<"controllerReady">): void {
    this.#listener.onPolicy?.({ controllerSha256: controllerSha256 ?? "", commands, loadSecs });
  }

  /** Shows a snapshot and tells of it; while nothing plays, of every one. */
  show({ tick, poses, contacts, dueMs }: Of<"snapshot">, playing: boolean): void {
    if (this.stage) this.stage.push({ poses, dueMs, episode: tick.episode, contacts });
    else this.#recycle(poses);
    const nowMs = performance.now();
    const turns = tick.ended !== this.#lastTold.ended || tick.grabbed !== this.#lastTold.grabbed;
    if (playing && !turns && nowMs - this.#lastTickMs < tickGapMs) return;
    this.#lastTickMs = nowMs;
    this.#lastTold = tick;
    this.#listener.onTick?.(tick);
  }

  fail(doing: Of<"failed">["doing"], error: PlayerError): void {
    this.#onFailed(error);
    if (doing === "scene") this.#listener.onError?.(error);
    else this.#listener.onPolicyError?.(error);
  }

  #shown(): void {
    this.#tellReady?.();
    this.#tellReady = undefined;
  }

  dispose(): void {
    this.stage?.dispose();
  }
}
