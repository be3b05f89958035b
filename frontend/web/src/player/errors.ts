/** What went wrong in the player. Each code has one place where it is raised and one way out. */
export type PlayerErrorCode =
  /** The physics engine did not start in this browser. */
  | "WASM_FAILED"
  /** The ONNX runtime did not start in this browser. */
  | "RUNTIME_FAILED"
  /** The server holds no artifact with this digest. */
  | "ARTIFACT_MISSING"
  /** The server could not be reached or answered with an error; trying again may help. */
  | "ARTIFACT_UNREACHABLE"
  /** The bytes that came are not the ones that the digest names. */
  | "DIGEST_MISMATCH"
  /** MuJoCo refused the scene. */
  | "SCENE_INVALID"
  /** The controller's manifest cannot be read, or does not fit its graph or its scene. */
  | "MANIFEST_INVALID"
  /** The controller's graph did not load or did not run. */
  | "GRAPH_FAILED"
  /** The robot cannot be told this: it has no such command, joint or actuator. */
  | "COMMAND_INVALID"
  /** The simulated state is no longer finite. */
  | "PHYSICS_DIVERGED"
  /** The browser gives no WebGL context, or took it away. */
  | "WEBGL_FAILED"
  /** The browser cannot record video. */
  | "RECORDING_UNSUPPORTED"
  /** The worker ended by itself. */
  | "WORKER_CRASHED";

/** The plain form of a {@link PlayerError}, which crosses from the worker to the page. */
export interface PlayerFault {
  readonly code: PlayerErrorCode;
  readonly message: string;
}

const passing: ReadonlySet<PlayerErrorCode> = new Set([
  "ARTIFACT_UNREACHABLE",
  "RUNTIME_FAILED",
  "WORKER_CRASHED",
  "PHYSICS_DIVERGED",
]);

/** The one error of the player. The message says what was wrong, where, and what to do. */
export class PlayerError extends Error {
  override readonly name = "PlayerError";

  constructor(
    readonly code: PlayerErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  /** Whether the same thing, tried again unchanged, may succeed. */
  get retryable(): boolean {
    return passing.has(this.code);
  }

  toFault(): PlayerFault {
    return { code: this.code, message: this.message };
  }

  static fromFault(fault: PlayerFault): PlayerError {
    return new PlayerError(fault.code, fault.message);
  }

  /** Returns `error` itself when it is a PlayerError, else wraps it under `code`; `doing` begins the message. */
  static from(error: unknown, code: PlayerErrorCode, doing: string): PlayerError {
    if (error instanceof PlayerError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new PlayerError(code, `${doing}: ${reason.trim()}`, { cause: error });
  }
}

/** What is asked of a stage before it is on the page. */
export function notThere(): PlayerError {
  return new PlayerError("WEBGL_FAILED", "There is no robot on stage yet. Try again once it is there.");
}
