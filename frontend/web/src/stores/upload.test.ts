import { create } from "@bufbuild/protobuf";
import { Code, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { EnvironmentSchema, SceneService, type UploadSceneRequest } from "../gen/tabrl/scene/v1/scene_pb";
import { createClients } from "../rpc/clients";
import { typedError } from "../testing/typedError";
import { type Arrival, createUploader, MAX_BUNDLE_BYTES, MAX_UPLOAD_BYTES } from "./upload";

/** An uploader before a service that keeps what it gets and, after the last piece, takes one more call to read it. */
function uploading(refusal?: Error) {
  const pieces: UploadSceneRequest[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(SceneService, {
      uploadScene: (request) => {
        pieces.push(request);
        const receivedBytes = request.offsetBytes + BigInt(request.data.length);
        if (receivedBytes < request.sizeBytes || request.data.length > 0) return { receivedBytes };
        if (refusal) throw refusal;
        const summary = { environmentId: "custom-arm-0a1b2c3d" };
        return { receivedBytes, environment: create(EnvironmentSchema, { summary }) };
      },
    }),
  );
  return { pieces, uploader: createUploader(createClients(transport)) };
}

const file = (bytes: number, name = "arm.zip") => new File([new Uint8Array(bytes).fill(7)], name);

const environmentId = (arrival: Arrival | undefined) =>
  arrival?.kind === "environment" ? arrival.environment.summary?.environmentId : undefined;

test("given a long file, when it is uploaded, then it goes in pieces and becomes an environment", async () => {
  const { pieces, uploader } = uploading();
  const states: string[] = [];
  uploader.store.subscribe(() => states.push(uploader.store.get().status));

  const arrival = await uploader.upload(file(2_500_000));

  expect(environmentId(arrival)).toBe("custom-arm-0a1b2c3d");
  expect(pieces.map(({ offsetBytes, data }) => [Number(offsetBytes), data.length])).toEqual([
    [0, 1_048_576],
    [1_048_576, 1_048_576],
    [2_097_152, 402_848],
    [2_500_000, 0],
  ]);
  expect(new Set(pieces.map(({ uploadId }) => uploadId)).size).toBe(1);
  expect(states).toEqual(["sending", "sending", "sending", "reading", "idle"]);
});

test("given others' uploads are read, when the last piece comes, then it is sent again until it is its turn", async () => {
  let turnedAway = 2;
  const waits: number[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(SceneService, {
      uploadScene: (request) => {
        if (turnedAway-- > 0)
          throw typedError(Code.ResourceExhausted, "TOO_MANY_REQUESTS", "8 uploads are being read.");
        const summary = { environmentId: "custom-arm-0a1b2c3d" };
        return { receivedBytes: request.sizeBytes, environment: create(EnvironmentSchema, { summary }) };
      },
    }),
  );
  const uploader = createUploader(createClients(transport), async (ms) => void waits.push(ms));

  expect(environmentId(await uploader.upload(file(10)))).toBe("custom-arm-0a1b2c3d");
  expect(waits).toEqual([2000, 2000]);
});

test("given a refusal, when a file is uploaded, then the store says why until it is dismissed", async () => {
  const metadata = { rule: "FILE_MISSING", file: "scene.xml", line: "4" };
  const message = "scene.xml, line 4: <mesh> names hand.obj, which the upload does not hold; add it.";
  const { uploader } = uploading(typedError(Code.InvalidArgument, "SCENE_REFUSED", message, [], metadata));

  expect(await uploader.upload(file(10))).toBeUndefined();

  expect(uploader.store.get().failure).toMatchObject({
    reason: "SCENE_REFUSED",
    message: expect.stringMatching("line 4"),
  });
  uploader.dismiss();
  expect(uploader.store.get().status).toBe("idle");
});

test("given a file under way, when something else is refused, then the upload goes on and nothing is said against it", async () => {
  const { uploader } = uploading();
  const states = new Set<string>();
  uploader.store.subscribe(() => states.add(`${uploader.store.get().status} ${uploader.store.get().fileName}`));
  const arrival = uploader.upload(file(2_500_000));
  uploader.refuse("robots", "robots is a folder. Zip it, and drop the zip.");

  expect(environmentId(await arrival)).toBe("custom-arm-0a1b2c3d");
  expect([...states]).toEqual(["sending arm.zip", "reading arm.zip", "idle "]);
});

test.each([
  [file(0), "empty"],
  [file(10, "robot.urdf"), "MJCF"],
  [Object.defineProperty(file(1), "size", { value: MAX_UPLOAD_BYTES + 1 }), "at most 67"],
  [Object.defineProperty(file(1, "dance.tabrl"), "size", { value: MAX_BUNDLE_BYTES + 1 }), "at most 268"],
])("given a file that cannot be a scene, when it is chosen, then nothing is sent", async (chosen, says) => {
  const { pieces, uploader } = uploading();
  await uploader.upload(chosen);
  expect(uploader.store.get().failure?.message).toContain(says);
  expect(pieces).toEqual([]);
});
