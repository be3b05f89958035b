import type { PlayerErrorCode } from "../player";

/** What a person needs to know of a trouble in the player. */
export interface Trouble {
  readonly title: string;
  /** What to do about it. */
  readonly remedy: string;
}

const TROUBLES: Readonly<Record<PlayerErrorCode, Trouble>> = {
  WASM_FAILED: {
    title: "The simulation did not start in this browser",
    remedy: "Use a current Chrome, Edge, Firefox or Safari, and turn off what blocks WebAssembly on this page.",
  },
  RUNTIME_FAILED: {
    title: "What runs policies did not start",
    remedy: "The robot goes on without it. Check the connection, then start it again.",
  },
  WEBGL_FAILED: {
    title: "This browser cannot draw the robot",
    remedy:
      "Turn on hardware acceleration in the browser's settings, or try another browser. Training goes on without the picture.",
  },
  ARTIFACT_UNREACHABLE: {
    title: "The robot's files could not be fetched",
    remedy: "Check the connection and that TabRL is still running, then start it again.",
  },
  ARTIFACT_MISSING: {
    title: "A file of this robot or policy is gone",
    remedy: "It was removed from the data folder. Choose another policy, or train again.",
  },
  DIGEST_MISMATCH: {
    title: "A file arrived damaged",
    remedy: "Start it again; if it stays so, the file in the data folder is damaged: train again to replace it.",
  },
  SCENE_INVALID: {
    title: "This robot's scene cannot be simulated here",
    remedy: "If you uploaded it, correct the file and upload it again. Otherwise choose another robot.",
  },
  MANIFEST_INVALID: {
    title: "This policy does not fit this robot or this version of TabRL",
    remedy: "Train again, or have the policy exported again by the version of TabRL that runs here.",
  },
  GRAPH_FAILED: {
    title: "This policy could not be run",
    remedy: "The robot goes on without it. Choose another policy, or start a new episode to try again.",
  },
  PHYSICS_DIVERGED: {
    title: "The simulation came apart, so it began anew",
    remedy: "It happens when forces grow without bound. If it happens again and again, choose an earlier policy.",
  },
  COMMAND_INVALID: {
    title: "The robot cannot be told this",
    remedy: "It goes on as before. Reload the page if its controls do not fit the robot any more.",
  },
  RECORDING_UNSUPPORTED: {
    title: "This browser cannot record video",
    remedy: "Use a current Chrome, Edge or Firefox, or save a picture instead.",
  },
  WORKER_CRASHED: {
    title: "The simulation ended unexpectedly",
    remedy: "Start it again. If that does not help, close other tabs: the browser may be out of memory.",
  },
};

/** The words for a code of a `PlayerError`. */
export function troubleOf(code: PlayerErrorCode): Trouble {
  return TROUBLES[code];
}
