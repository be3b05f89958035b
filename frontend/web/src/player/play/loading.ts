import type { ArtifactSource } from "../artifacts";
import { Controller } from "../controller/controller";
import { loadGraph, type Onnx } from "../controller/graph";
import { parseManifest, type Wiring, wire } from "../controller/wiring";
import { PlayerError } from "../errors";
import { startSimplifier } from "../meshes/simplifier";
import type { Mujoco } from "../physics/engine";
import { type LoadedFiles, Simulation } from "../physics/simulation";
import type { ControllerFiles, SceneFiles } from "../protocol";

/** What loads scenes and controllers: the two WebAssembly modules, started when first needed, and the artifacts. */
export interface Loader {
  /** @throws PlayerError WASM_FAILED, SCENE_INVALID, or one of the artifacts' */
  simulation(scene: SceneFiles): Promise<Simulation>;
  /** @throws PlayerError RUNTIME_FAILED, GRAPH_FAILED, MANIFEST_INVALID, or one of the artifacts' */
  controller(files: ControllerFiles): Promise<Controller>;
}

export interface Engines {
  readonly mujoco: () => Promise<Mujoco>;
  readonly onnx: () => Promise<Onnx>;
}

export function loaderOf(artifacts: ArtifactSource, engines: Engines): Loader {
  const mujoco = startedOnce(engines.mujoco);
  const onnx = startedOnce(engines.onnx);
  return {
    simulation: async (scene) => {
      const [engine, files] = await Promise.all([mujoco(), sceneFiles(artifacts, scene), startSimplifier()]);
      return Simulation.load(engine, files);
    },
    controller: async ({ graph, manifest, environmentId }) => {
      const [runtime, graphBytes, manifestBytes] = await Promise.all([
        onnx(),
        artifacts.read(graph.sha256),
        artifacts.read(manifest.sha256),
      ]);
      const wiring = wire(parseManifest(new TextDecoder().decode(manifestBytes)));
      checkOrigin(wiring, graph.sha256, environmentId);
      return new Controller(wiring, await loadGraph(runtime, graphBytes));
    },
  };
}

async function sceneFiles(artifacts: ArtifactSource, scene: SceneFiles): Promise<LoadedFiles> {
  const [xml, ...contents] = await Promise.all([
    artifacts.read(scene.xml.sha256),
    ...scene.assets.map(({ file }) => artifacts.read(file.sha256)),
  ]);
  const assets = new Map(scene.assets.map(({ path }, i) => [path, contents[i] ?? new Uint8Array()]));
  return { xml: xml ?? new Uint8Array(), assets };
}

function checkOrigin(wiring: Wiring, graphSha256: string, environmentId: string): void {
  if (wiring.controllerSha256 !== graphSha256) {
    throw new PlayerError("MANIFEST_INVALID", "The controller's manifest belongs to another graph. Export it again.");
  }
  if (wiring.environmentId !== environmentId) {
    throw new PlayerError(
      "MANIFEST_INVALID",
      `The controller drives ${wiring.environmentId}, but it was published for ${environmentId}.`,
    );
  }
}

/** Starts something at most once; a failed start is tried again at the next call. */
export function startedOnce<T>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= start().catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  };
}
