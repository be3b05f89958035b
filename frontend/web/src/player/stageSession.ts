import { PlayerClient } from "./client";
import { PlayerError } from "./errors";
import type { ControllerFiles, ModelSizes, PlayerTick, Rollout, RolloutSpec, SceneFiles } from "./protocol";
import { Stage, type Theme } from "./stage/stage";
import { exposeForTests } from "./testHook";

/** The page is told of ticks at most this often; a meter that moves faster cannot be read. */
const tickGapMs = 66;

export interface ReadyInfo {
  readonly environmentId: string;
  readonly sizes: ModelSizes;
  readonly loadSecs: number;
}

export interface PolicyInfo {
  /** SHA-256 of the graph that drives from now on; empty when none does. */
  readonly controllerSha256: string;
  readonly loadSecs: number;
}

export interface StageListener {
  readonly onTick?: ((tick: PlayerTick) => void) | undefined;
  /** The scene is loaded and on stage. */
  readonly onReady?: ((info: ReadyInfo) => void) | undefined;
  /** The controller that was asked for drives. */
  readonly onPolicy?: ((info: PolicyInfo) => void) | undefined;
  /** Nothing moves any more: the scene, the worker or the drawing failed. */
  readonly onError?: ((error: PlayerError) => void) | undefined;
  /** A controller could not be loaded or failed at a tick; the robot goes on without it or with the one before. */
  readonly onPolicyError?: ((error: PlayerError) => void) | undefined;
}

/** A stage and the worker that moves what is on it, for as long as a container is on the page. */
export class StageSession {
  readonly #client: PlayerClient;
  readonly #stage: Stage | undefined;
  readonly #hidden: AbortController = new AbortController();
  readonly #withdraw: () => void;
  #listener: StageListener = {};
  #playing = false;
  #lastTickMs = 0;

  /** `artifacts` is the folder from which files are read by digest; the gateway's if left out. */
  constructor(container: HTMLElement, theme: Theme, listener: StageListener, artifacts?: string) {
    this.#listener = listener;
    this.#client = new PlayerClient({
      artifacts,
      on: {
        sceneReady: ({ description, sizes, loadSecs }) => {
          this.#stage?.setScene(description);
          this.#listener.onReady?.({ environmentId: description.environmentId, sizes, loadSecs });
          hook.scene = description.environmentId;
        },
        controllerReady: ({ controllerSha256, loadSecs }) => {
          this.#listener.onPolicy?.({ controllerSha256: controllerSha256 ?? "", loadSecs });
        },
        snapshot: ({ tick, poses, dueMs }) => {
          hook.show(tick);
          if (this.#stage) this.#stage.push({ poses, dueMs, episode: tick.episode });
          else this.#client.recycle(poses);
          this.#tell(tick);
        },
        failed: ({ doing, fault }) => this.#fail(doing, PlayerError.fromFault(fault)),
      },
      onCrash: (error) => this.#fail("scene", error),
    });
    const hook = exposeForTests((spec) => this.rollOut(spec));
    this.#withdraw = hook.withdraw;
    this.#stage = this.#build(container, theme);
    const { signal } = this.#hidden;
    document.addEventListener("visibilitychange", () => this.#applyPlaying(), { signal });
  }

  listen(listener: StageListener): void {
    this.#listener = listener;
  }

  loadScene(scene: SceneFiles): void {
    this.#client.loadScene(scene);
  }

  setController(controller: ControllerFiles | null): void {
    this.#client.setController(controller);
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

  setTheme(theme: Theme): void {
    this.#stage?.setTheme(theme);
  }

  /** Starts a new episode. */
  reset(): void {
    this.#client.reset();
  }

  /** Takes one tick, also while paused. */
  stepOnce(): void {
    this.#client.step();
  }

  resetCamera(): void {
    this.#stage?.resetCamera();
  }

  /** @throws PlayerError */
  rollOut(spec: RolloutSpec): Promise<Rollout> {
    return this.#client.rollOut(spec);
  }

  dispose(): void {
    this.#hidden.abort();
    this.#withdraw();
    this.#client.dispose();
    this.#stage?.dispose();
  }

  /** A tab in the background does not draw, so the robot waits there too. */
  #applyPlaying(): void {
    this.#client.setPlaying(this.#playing && !document.hidden);
  }

  #build(container: HTMLElement, theme: Theme): Stage | undefined {
    try {
      return new Stage(container, theme, (poses) => this.#client.recycle(poses));
    } catch (error) {
      this.#fail("scene", PlayerError.from(error, "WEBGL_FAILED", "The robot cannot be drawn"));
      return undefined;
    }
  }

  #tell(tick: PlayerTick): void {
    const nowMs = performance.now();
    if (this.#playing && nowMs - this.#lastTickMs < tickGapMs) return;
    this.#lastTickMs = nowMs;
    this.#listener.onTick?.(tick);
  }

  #fail(doing: "scene" | "controller" | "playing", error: PlayerError): void {
    window.__tabrl?.errors.push(error.toFault());
    if (doing === "scene") this.#listener.onError?.(error);
    else this.#listener.onPolicyError?.(error);
  }
}
