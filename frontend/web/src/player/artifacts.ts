import { sha256 as sha256InScript } from "@noble/hashes/sha2.js";
import { PlayerError } from "./errors";

/** Where files come from by digest. */
export interface ArtifactSource {
  /**
   * Returns the bytes whose SHA-256 is `sha256`, checked.
   *
   * @throws PlayerError ARTIFACT_MISSING, ARTIFACT_UNREACHABLE (after the retries), DIGEST_MISMATCH
   */
  read(sha256: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** The part of the browser's Cache that is used. */
export type ArtifactCache = Pick<Cache, "match" | "put" | "delete">;

export interface ArtifactOptions {
  /** URL of the folder in which the files lie under their digests. */
  readonly folder: string;
  readonly fetch: (url: string) => Promise<Response>;
  /** Where files are kept between visits; undefined to keep none. */
  readonly openCache: () => Promise<ArtifactCache | undefined>;
  /** Waits between the attempts, in milliseconds; their number is the number of retries. */
  readonly retryWaitsMs: readonly number[];
}

/** Where the gateway serves files. */
export const GATEWAY_FOLDER = "/artifacts";

const browserDefaults: ArtifactOptions = {
  folder: GATEWAY_FOLDER,
  fetch: (url) => fetch(url),
  openCache: async () => ("caches" in globalThis ? caches.open("tabrl-artifacts-v1") : undefined),
  retryWaitsMs: [250, 500, 1000, 2000],
};

/**
 * Reads artifacts from the gateway, or from another folder, and keeps them in the browser's cache. Files are immutable, so a kept one is
 * never asked for again.
 */
export function artifactSource(given: Partial<ArtifactOptions> = {}): ArtifactSource {
  const options = { ...browserDefaults, ...given };
  return {
    async read(sha256) {
      const url = artifactUrl(sha256, options.folder);
      const cache = await options.openCache();
      const kept = await cache?.match(url);
      if (kept) {
        const bytes = new Uint8Array(await kept.arrayBuffer());
        if ((await digestOf(bytes)) === sha256) return bytes;
        await cache?.delete(url);
      }
      const bytes = await download(url, options);
      const digest = await digestOf(bytes);
      if (digest !== sha256) {
        throw new PlayerError(
          "DIGEST_MISMATCH",
          `The server sent another file under ${url}: its SHA-256 is ${digest}. The file there is damaged.`,
        );
      }
      // A full disk only costs the next visit a download.
      await cache?.put(url, new Response(bytes)).catch(() => undefined);
      return bytes;
    },
  };
}

export function artifactUrl(sha256: string, folder = GATEWAY_FOLDER): string {
  return `${folder}/${sha256}`;
}

async function download(url: string, options: ArtifactOptions): Promise<Uint8Array<ArrayBuffer>> {
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await attemptDownload(url, options.fetch);
    if (outcome instanceof Uint8Array) return outcome;
    const waitMs = options.retryWaitsMs[attempt];
    if (!outcome.retryable || waitMs === undefined) throw outcome;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function attemptDownload(
  url: string,
  fetch: ArtifactOptions["fetch"],
): Promise<Uint8Array<ArrayBuffer> | PlayerError> {
  try {
    const response = await fetch(url);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    return response.status === 404
      ? new PlayerError("ARTIFACT_MISSING", `The server has no file ${url}.`)
      : new PlayerError("ARTIFACT_UNREACHABLE", `The server answered ${response.status} for ${url}.`);
  } catch (error) {
    return PlayerError.from(error, "ARTIFACT_UNREACHABLE", `The server did not send ${url}`);
  }
}

/** Hashes in the browser's own code where it lets the page: not on pages opened over plain http from another machine. */
async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = globalThis.crypto?.subtle
    ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
    : sha256InScript(bytes);
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
