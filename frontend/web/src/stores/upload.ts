import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom, localFailure } from "../rpc/failure";
import { pause } from "../rpc/reliability";
import { newRequestId } from "../rpc/requestId";
import { createStore, type Store } from "./store";

/** Longest file that the contract takes, in bytes. */
export const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
const PIECE_DEADLINE_MS = 30_000;
/** How often a piece is sent again while others' uploads are read; each takes seconds. */
const MOST_TURNS_WAITED = 100;

/** Where the upload of a scene stands. */
export interface Upload {
  readonly status: "idle" | "sending" | "reading" | "failed";
  readonly fileName: string;
  /** Part of the file that has arrived, 0 to 1. */
  readonly share: number;
  readonly failure?: Failure;
}

const IDLE: Upload = { status: "idle", fileName: "", share: 0 };

/** Takes scenes that people bring, one at a time. */
export interface Uploader {
  readonly store: Store<Upload>;
  /** Uploads a zip or an MJCF file; undefined when that failed (the store says why) or another one is under way. */
  upload(file: File): Promise<Environment | undefined>;
  /** Forgets a failure. */
  dismiss(): void;
}

/** An uploader over the Scene service. */
export function createUploader(scene: Clients["scene"], sleep: (ms: number) => Promise<void> = pause): Uploader {
  const store = createStore<Upload>(IDLE);

  /** Sends a piece; again after a while when others' uploads are being read. */
  async function sendPiece(piece: Parameters<typeof scene.uploadScene>[0]) {
    for (let turn = 1; ; turn++) {
      try {
        return await scene.uploadScene(piece, { timeoutMs: PIECE_DEADLINE_MS });
      } catch (thrown) {
        const { reason, retryAfterSecs } = failureFrom(thrown);
        if (reason !== "TOO_MANY_REQUESTS" || turn === MOST_TURNS_WAITED) throw thrown;
        await sleep(1000 * (retryAfterSecs ?? 2));
      }
    }
  }

  async function send(file: File): Promise<Environment> {
    const uploadId = newRequestId();
    const about = { uploadId, fileName: file.name, sizeBytes: BigInt(file.size) };
    let received = 0;
    for (;;) {
      const data = new Uint8Array(await file.slice(received, received + PIECE_BYTES).arrayBuffer());
      const piece = { ...about, offsetBytes: BigInt(received), data };
      const { receivedBytes, environment } = await sendPiece(piece);
      if (environment) return environment;
      received = Number(receivedBytes);
      const status = received < file.size ? "sending" : "reading";
      store.set((before) => ({ ...before, status, share: received / file.size }));
    }
  }

  return {
    store,
    async upload(file) {
      const { status } = store.get();
      if (status === "sending" || status === "reading") return undefined;
      const problem = fileProblem(file);
      if (problem) {
        store.set({ ...IDLE, status: "failed", fileName: file.name, failure: localFailure("file_name", problem) });
        return undefined;
      }
      store.set({ ...IDLE, status: "sending", fileName: file.name });
      try {
        const environment = await send(file);
        store.set(IDLE);
        return environment;
      } catch (thrown) {
        store.set({ ...IDLE, status: "failed", fileName: file.name, failure: failureFrom(thrown) });
        return undefined;
      }
    },
    dismiss: () => store.set(IDLE),
  };
}

/** What is wrong with a file, before it is sent; undefined when nothing is. */
export function fileProblem(file: File): string | undefined {
  if (file.size === 0) return `${file.name} is empty.`;
  if (file.size > MAX_UPLOAD_BYTES) {
    return `${file.name} has ${Math.ceil(file.size / 1e6).toLocaleString("en")} MB; at most 67 fit. Leave out what the scene does not need.`;
  }
  if (!/\.(zip|xml)$/i.test(file.name)) return "Choose a zip with an MJCF scene and its meshes, or a single MJCF file.";
  return undefined;
}
