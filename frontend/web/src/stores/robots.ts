import { RobotInstallationStage as Stage } from "../gen/tabrl/scene/v1/scene_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { createStore, type Store } from "./store";

/** How the robots come to this machine. */
export interface RobotInstallation {
  readonly status: "none" | "working" | "failed" | "done";
  /** How far it is, in the service's words. */
  readonly message: string;
  /** Part of the download that is here, from 0 to 1. */
  readonly share: number;
  readonly failure?: Failure;
}

/** The installation of the robots that environments miss. */
export interface Robots {
  readonly store: Store<RobotInstallation>;
  /** Installs them, once a person agreed to a download of that size; joins an installation that is under way. */
  install(downloadBytes: bigint): Promise<void>;
}

const INSTALLATION_DEADLINE_MS = 3_600_000;

/** The installation over the Scene service; `onReady` is told when there are more environments than before. */
export function createRobots(scene: Clients["scene"], onReady: () => void): Robots {
  const store = createStore<RobotInstallation>({ status: "none", message: "", share: 0 });

  async function install(downloadBytes: bigint): Promise<void> {
    if (store.get().status === "working") return;
    store.set({ status: "working", message: "Asking for the robots", share: 0 });
    try {
      const request = { acceptedDownloadBytes: downloadBytes };
      for await (const progress of scene.installRobots(request, { timeoutMs: INSTALLATION_DEADLINE_MS })) {
        const share = Number(progress.downloadedBytes) / Number(downloadBytes);
        const status = progress.stage === Stage.READY ? "done" : "working";
        store.set({ status, message: progress.message, share });
      }
      if (store.get().status !== "done") throw new Error("The installation broke off; it goes on when you try again.");
      onReady();
    } catch (thrown) {
      store.set({ status: "failed", message: "", share: 0, failure: failureFrom(thrown) });
    }
  }

  return { store, install };
}
