import { createHash } from "node:crypto";
import { create, toJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PolicySchema } from "../gen/tabrl/exporter/v1/exporter_pb";
import { ControllerManifestSchema } from "../gen/tabrl/exporter/v1/manifest_pb";
import { PlayerError } from "../player/errors";
import { loadSharedPolicy } from "./sharedPolicy";

const FOLDER = "https://somewhere.example/people/robots/";
const scene = "a".repeat(64);
const mesh = "b".repeat(64);
const graph = "c".repeat(64);

const manifest = toJsonString(
  ControllerManifestSchema,
  create(ControllerManifestSchema, {
    specification: 1,
    environmentId: "CartpoleBalance",
    sceneXml: { sha256: scene },
    sceneAssets: [{ path: "leg.stl", artifact: { sha256: mesh } }],
  }),
);
const manifestSha256 = createHash("sha256").update(manifest).digest("hex");
const policy = toJsonString(
  PolicySchema,
  create(PolicySchema, {
    environmentId: "CartpoleBalance",
    controller: { sha256: graph },
    manifest: { sha256: manifestSha256 },
  }),
);

/** A web server with these files; everything else is not found. */
function host(files: Record<string, string>) {
  const options = {
    fetch: async (url: string) => {
      const content = files[url.replace(FOLDER, "")];
      return content === undefined ? new Response("", { status: 404 }) : new Response(content);
    },
    openCache: async () => undefined,
    retryWaitsMs: [],
  };
  return loadSharedPolicy(FOLDER, options);
}

async function failureOf(loading: Promise<unknown>): Promise<PlayerError> {
  const error = await loading.catch((reason: unknown) => reason);
  if (error instanceof PlayerError) return error;
  throw new Error(`expected a PlayerError, got ${String(error)}`);
}

describe("loadSharedPolicy", () => {
  it("reads from the folder beside the page what there is to play", async () => {
    const shared = await host({ "policy.json": policy, [`files/${manifestSha256}`]: manifest });

    expect(shared.files).toBe(`${FOLDER}files`);
    expect(shared.policy.controller?.sha256).toBe(graph);
    expect(shared.bundle.environmentId).toBe("CartpoleBalance");
    expect(shared.bundle.xml?.sha256).toBe(scene);
    expect(shared.bundle.assets.map(({ path, artifact }) => [path, artifact?.sha256])).toEqual([["leg.stl", mesh]]);
  });

  it("reads a policy of a later release", async () => {
    const later = JSON.stringify({ ...JSON.parse(policy), moodOfTheRobot: "fine" });

    const shared = await host({ "policy.json": later, [`files/${manifestSha256}`]: manifest });

    expect(shared.policy.environmentId).toBe("CartpoleBalance");
  });

  it("says that the folder is not whole", async () => {
    expect(await failureOf(host({}))).toMatchObject({
      code: "ARTIFACT_MISSING",
      message: expect.stringContaining("policy.json"),
    });
    expect(await failureOf(host({ "policy.json": policy }))).toMatchObject({
      code: "ARTIFACT_MISSING",
      message: expect.stringContaining(manifestSha256),
    });
  });

  it("refuses another manifest than the policy names", async () => {
    const error = await failureOf(host({ "policy.json": policy, [`files/${manifestSha256}`]: `${manifest} ` }));

    expect(error.code).toBe("DIGEST_MISMATCH");
  });

  it("refuses what is no policy, and one that has nothing to play", async () => {
    expect((await failureOf(host({ "policy.json": "<!doctype html>" }))).code).toBe("MANIFEST_INVALID");
    expect((await failureOf(host({ "policy.json": "{}" }))).code).toBe("MANIFEST_INVALID");
  });
});
