// @vitest-environment jsdom
import { create, toJsonString } from "@bufbuild/protobuf";
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ControllerManifestSchema } from "../gen/tabrl/exporter/v1/manifest_pb";
import type { RobotStageProps } from "../player/RobotStage";
import { createClients } from "../rpc/clients";
import { createUploader } from "../stores/upload";
import { type Backend, createBackend } from "../testing/backend";
import { closePage, openPage, preparePage } from "../testing/page";

const staged = vi.hoisted(() => [] as { scene: string; policy: string }[]);
vi.mock("../player", () => ({
  RobotStage: ({ bundle, policy }: RobotStageProps) => {
    staged.push({ scene: bundle.xml?.sha256 ?? "", policy: policy?.policyId ?? "" });
    return null;
  },
}));
vi.mock("../training/LineChart", () => ({ LineChart: () => null }));

let backend: Backend;

beforeEach(() => {
  preparePage();
  staged.length = 0;
  backend = createBackend();
});

afterEach(closePage);

/** A file of this length that begins as a zip does. */
function bundle(bytes: number): File {
  const content = new Uint8Array(bytes);
  content.set([0x50, 0x4b]);
  return new File([content], "dance.tabrl");
}

test("given a policy that somebody shared, when its file is chosen, then it is imported and the page goes to it", async () => {
  openPage(backend, "/");
  fireEvent.change(await screen.findByTestId("upload-file"), { target: { files: [bundle(1_500_000)] } });
  await waitFor(() => expect(window.location.search).toBe("?env=CartpoleBalance&policy=imported-1"));
  expect(await screen.findByTestId("take-bundle")).toBeTruthy();
});

test("given a person who leaves while a policy is imported, when it is there, then the page stays where the person went", async () => {
  openPage(backend, "/");
  fireEvent.change(await screen.findByTestId("upload-file"), { target: { files: [bundle(1_500_000)] } });
  fireEvent.click(screen.getByTestId("env-card-WalkerWalk"));
  const { exporter } = createClients(backend.transport);
  await waitFor(() => exporter.getPolicy({ policyId: "imported-1" }));
  await new Promise((done) => setTimeout(done, 60));
  expect(window.location.search).toBe("?env=WalkerWalk");

  // where it is found later
  fireEvent.click(screen.getByTestId("history"));
  fireEvent.click(await screen.findByTestId("work-policies"));
  await waitFor(() => expect(screen.getByTestId("work-policy").textContent).toContain("imported"));
});

test("given a file that is no bundle, when it is chosen, then the page says why it was refused", async () => {
  openPage(backend, "/");
  const file = new File([new Uint8Array(100)], "evil.tabrl");
  fireEvent.change(await screen.findByTestId("upload-file"), { target: { files: [file] } });
  expect((await screen.findByTestId("error")).textContent).toContain("The file is no zip");
  expect(window.location.search).toBe("");
});

test("given a service that forgot what it had, when the next piece comes, then the import goes on from there", async () => {
  const { scene, sharing } = createClients(backend.transport);
  const offsets: number[] = [];
  const forgetful = Object.assign(Object.create(sharing) as typeof sharing, {
    importBundle: (...[piece, options]: Parameters<typeof sharing.importBundle>) => {
      // The second piece names a place that the service has not come to.
      const skipped = offsets.length === 1 ? 10n : 0n;
      offsets.push(Number(piece.offsetBytes));
      return sharing.importBundle({ ...piece, offsetBytes: (piece.offsetBytes ?? 0n) + skipped }, options);
    },
  });

  const arrival = await createUploader({ scene, sharing: forgetful }).upload(bundle(1_500_000));

  expect(arrival?.kind).toBe("policy");
  expect(offsets).toEqual([0, 1_048_576, 1_048_576, 1_500_000]);
});

test("given a policy for an environment that is not here, when it is opened, then its own robot plays, and the page says what it lacks", async () => {
  const xmlSha256 = "9".repeat(64);
  const manifest = create(ControllerManifestSchema, {
    specification: 1,
    environmentId: "custom-arm-0a1b2c3d",
    sceneXml: { sha256: xmlSha256 },
  });
  const content = new TextEncoder().encode(toJsonString(ControllerManifestSchema, manifest));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  vi.stubGlobal("fetch", async (url: string) =>
    url === `/artifacts/${sha256}` ? new Response(content) : new Response(null, { status: 404 }),
  );
  backend.putPolicy({ policyId: "arm-1", environmentId: "custom-arm-0a1b2c3d", manifest: { sha256 } });

  openPage(backend, "/?policy=arm-1");

  expect((await screen.findByTestId("env-absent")).textContent).toContain("cannot be trained further");
  await waitFor(() => expect(staged.at(-1)).toEqual({ scene: xmlSha256, policy: "arm-1" }));
  expect(screen.getByTestId("take-bundle")).toBeTruthy();
  expect(screen.queryByTestId("prompt")).toBeNull();
  expect(screen.queryByTestId("error")).toBeNull();
});
