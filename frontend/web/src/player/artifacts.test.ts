import { createHash } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type ArtifactCache, artifactSource, artifactUrl } from "./artifacts";
import { PlayerError } from "./errors";

const bytes = new TextEncoder().encode("<mujoco/>");
const sha256 = createHash("sha256").update(bytes).digest("hex");

function memoryCache(): ArtifactCache & { readonly kept: Map<string, Response> } {
  const kept = new Map<string, Response>();
  return {
    kept,
    match: async (url) => kept.get(String(url))?.clone(),
    put: async (url, response) => {
      kept.set(String(url), response);
    },
    delete: async (url) => kept.delete(String(url)),
  };
}

/** Answers each request with the next of the replies; an Error is a broken connection. */
function server(replies: (Response | Error)[]) {
  const asked: string[] = [];
  const fetch = async (url: string): Promise<Response> => {
    asked.push(url);
    const reply = replies.shift() ?? new Response("", { status: 500 });
    if (reply instanceof Error) throw reply;
    return reply;
  };
  return { asked, fetch };
}

async function failureOf(promise: Promise<unknown>): Promise<PlayerError> {
  const error = await promise.catch((reason: unknown) => reason);
  if (error instanceof PlayerError) return error;
  throw new Error(`expected a PlayerError, got ${String(error)}`);
}

describe("artifactSource", () => {
  it("asks the server once and then reads from the cache", async () => {
    const { asked, fetch } = server([new Response(bytes)]);
    const cache = memoryCache();
    const source = artifactSource({ fetch, openCache: async () => cache, retryWaitsMs: [] });

    expect(await source.read(sha256)).toEqual(bytes);
    expect(await source.read(sha256)).toEqual(bytes);

    expect(asked).toEqual([artifactUrl(sha256)]);
  });

  it("tries again while the server is away", async () => {
    const { asked, fetch } = server([new TypeError("refused"), new Response("", { status: 503 }), new Response(bytes)]);
    const source = artifactSource({ fetch, openCache: async () => undefined, retryWaitsMs: [0, 0] });

    expect(await source.read(sha256)).toEqual(bytes);

    expect(asked).toHaveLength(3);
  });

  it("gives up after the last retry and says that waiting may help", async () => {
    const { fetch } = server([new TypeError("refused"), new TypeError("refused")]);
    const source = artifactSource({ fetch, openCache: async () => undefined, retryWaitsMs: [0] });

    const error = await failureOf(source.read(sha256));

    expect(error.code).toBe("ARTIFACT_UNREACHABLE");
    expect(error.retryable).toBe(true);
  });

  it("does not ask again for a file that is not there", async () => {
    const { asked, fetch } = server([new Response("", { status: 404 })]);
    const source = artifactSource({ fetch, openCache: async () => undefined, retryWaitsMs: [0, 0] });

    const error = await failureOf(source.read(sha256));

    expect(error.code).toBe("ARTIFACT_MISSING");
    expect(asked).toHaveLength(1);
  });

  it("refuses other bytes than the digest names, and keeps nothing of them", async () => {
    const { fetch } = server([new Response("<other/>")]);
    const cache = memoryCache();
    const source = artifactSource({ fetch, openCache: async () => cache, retryWaitsMs: [] });

    const error = await failureOf(source.read(sha256));

    expect(error.code).toBe("DIGEST_MISMATCH");
    expect(cache.kept.size).toBe(0);
  });

  it("replaces a damaged file in the cache", async () => {
    const { asked, fetch } = server([new Response(bytes)]);
    const cache = memoryCache();
    await cache.put(artifactUrl(sha256), new Response("damaged"));
    const source = artifactSource({ fetch, openCache: async () => cache, retryWaitsMs: [] });

    expect(await source.read(sha256)).toEqual(bytes);
    expect(asked).toHaveLength(1);
  });

  it("reads from another folder than the gateway's where it is told to", async () => {
    const { asked, fetch } = server([new Response(bytes)]);
    const folder = "https://somewhere.example/robots/cartpole/files";
    const source = artifactSource({ folder, fetch, openCache: async () => undefined });

    expect(await source.read(sha256)).toEqual(bytes);

    expect(asked).toEqual([`${folder}/${sha256}`]);
  });

  describe("on a page that the browser does not trust to hash", () => {
    afterEach(() => vi.unstubAllGlobals());

    it("checks files all the same", async () => {
      vi.stubGlobal("crypto", {});
      const { fetch } = server([new Response(bytes), new Response("<other/>")]);
      const source = artifactSource({ fetch, openCache: async () => undefined, retryWaitsMs: [] });

      expect(await source.read(sha256)).toEqual(bytes);
      expect((await failureOf(source.read(sha256))).code).toBe("DIGEST_MISMATCH");
    });
  });
});
