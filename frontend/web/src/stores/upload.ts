import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom, localFailure } from "../rpc/failure";
import { pause } from "../rpc/reliability";
import { newRequestId } from "../rpc/requestId";
import { createStore, type Store } from "./store";

/** Longest file of a scene that the contract takes, in bytes. */
export const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;
/** Longest bundle that the contract takes, in bytes. */
export const MAX_BUNDLE_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
const PIECE_DEADLINE_MS = 30_000;
/** How often a piece is sent again while others' uploads are read, or after the service forgot some; each takes seconds. */
const MOST_TURNS_WAITED = 100;

/** Where the upload of a file stands. */
export interface Upload {
  readonly status: "idle" | "sending" | "reading" | "failed";
  readonly fileName: string;
  /** Part of the file that has arrived, 0 to 1. */
  readonly share: number;
  readonly failure?: Failure;
}

const IDLE: Upload = { status: "idle", fileName: "", share: 0 };

/** What a file became: a scene an environment, a bundle a policy. */
export type Arrival =
  | { readonly kind: "environment"; readonly environment: Environment }
  | { readonly kind: "policy"; readonly policy: Policy };

/** A piece of a file, as both services take it. */
interface Piece {
  readonly uploadId: string;
  readonly sizeBytes: bigint;
  readonly offsetBytes: bigint;
  readonly data: Uint8Array<ArrayBuffer>;
}

interface Receipt {
  readonly receivedBytes: bigint;
  /** Absent until all has arrived and was read. */
  readonly arrival: Arrival | undefined;
}

/** Takes scenes and policies that people bring, one file at a time. */
export interface Uploader {
  readonly store: Store<Upload>;
  /** Uploads a zip or an MJCF file, or a bundle; undefined when that failed (the store says why) or another one is under way. */
  upload(file: File): Promise<Arrival | undefined>;
  /** Says of something that came instead of a file why it is not taken, unless a file is under way. */
  refuse(fileName: string, problem: string): void;
  /** Forgets a failure. */
  dismiss(): void;
}

/** An uploader over the Scene and Sharing services. */
export function createUploader(
  { scene, sharing }: Pick<Clients, "scene" | "sharing">,
  sleep: (ms: number) => Promise<void> = pause,
): Uploader {
  const store = createStore<Upload>(IDLE);
  const options = { timeoutMs: PIECE_DEADLINE_MS };

  async function sendScene(piece: Piece, fileName: string): Promise<Receipt> {
    const { receivedBytes, environment } = await scene.uploadScene({ ...piece, fileName }, options);
    return { receivedBytes, arrival: environment && { kind: "environment", environment } };
  }

  async function sendBundle(piece: Piece): Promise<Receipt> {
    const { receivedBytes, policy } = await sharing.importBundle(piece, options);
    return { receivedBytes, arrival: policy && { kind: "policy", policy } };
  }

  async function send(file: File): Promise<Arrival> {
    const sendPiece = isBundle(file) ? sendBundle : sendScene;
    const about = { uploadId: newRequestId(), sizeBytes: BigInt(file.size) };
    let received = 0;
    let turns = MOST_TURNS_WAITED;
    for (;;) {
      const data = new Uint8Array(await file.slice(received, received + PIECE_BYTES).arrayBuffer());
      try {
        const { receivedBytes, arrival } = await sendPiece(
          { ...about, offsetBytes: BigInt(received), data },
          file.name,
        );
        if (arrival) return arrival;
        received = Number(receivedBytes);
      } catch (thrown) {
        const { reason, metadata, retryAfterSecs } = failureFrom(thrown);
        turns -= 1;
        // The service was started anew, or an answer got lost: it says where to go on.
        if (reason === "UPLOAD_OUT_OF_STEP" && turns > 0) received = Number(metadata.received_bytes ?? 0);
        else if (reason === "TOO_MANY_REQUESTS" && turns > 0) await sleep(1000 * (retryAfterSecs ?? 2));
        else throw thrown;
        continue;
      }
      const status = received < file.size ? "sending" : "reading";
      store.set((before) => ({ ...before, status, share: received / file.size }));
    }
  }

  const busy = () => ["sending", "reading"].includes(store.get().status);

  function refuse(fileName: string, problem: string): void {
    if (busy()) return;
    store.set({ ...IDLE, status: "failed", fileName, failure: localFailure("file_name", problem) });
  }

  return {
    store,
    refuse,
    async upload(file) {
      if (busy()) return undefined;
      const problem = fileProblem(file);
      if (problem) {
        refuse(file.name, problem);
        return undefined;
      }
      store.set({ ...IDLE, status: "sending", fileName: file.name });
      try {
        const arrival = await send(file);
        store.set(IDLE);
        return arrival;
      } catch (thrown) {
        store.set({ ...IDLE, status: "failed", fileName: file.name, failure: failureFrom(thrown) });
        return undefined;
      }
    },
    dismiss: () => store.set(IDLE),
  };
}

/** What is wrong with a file, before it is sent; undefined when nothing is. */
function fileProblem(file: File): string | undefined {
  if (file.size === 0) return `${file.name} is empty.`;
  const most = isBundle(file) ? MAX_BUNDLE_BYTES : MAX_UPLOAD_BYTES;
  if (file.size > most) {
    const remedy = isBundle(file) ? "" : " Leave out what the scene does not need.";
    return `${file.name} has ${megabytes(file.size)} MB; at most ${Math.floor(most / 1e6)} fit.${remedy}`;
  }
  if (!isBundle(file) && !/\.(zip|xml)$/i.test(file.name))
    return "Choose a zip with an MJCF scene and its meshes, a single MJCF file, or a policy as .tabrl.";
  return undefined;
}

function isBundle(file: File): boolean {
  return /\.tabrl$/i.test(file.name);
}

function megabytes(bytes: number): string {
  return Math.ceil(bytes / 1e6).toLocaleString("en");
}
