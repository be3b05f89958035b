import loadMujoco, { type MainModule } from "@mujoco/mujoco";
import mujocoWasmUrl from "@mujoco/mujoco/mujoco.wasm?url";
import onnxWasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Onnx } from "../controller/graph";
import { PlayerError } from "../errors";

/** MuJoCo's WebAssembly module, and what it last said besides its return values. */
export interface Mujoco {
  readonly module: MainModule;
}

/**
 * Starts MuJoCo.
 *
 * @throws PlayerError WASM_FAILED
 */
export async function startMujoco(): Promise<Mujoco> {
  try {
    const module = await loadMujoco({
      locateFile: () => mujocoWasmUrl,
      // Warnings about deprecated attributes, which the scene's author can act on but a person in the tab cannot; errors are thrown.
      print: () => undefined,
      printErr: () => undefined,
    });
    return { module };
  } catch (error) {
    throw PlayerError.from(error, "WASM_FAILED", "The physics engine does not start in this browser");
  }
}

/**
 * Loads the ONNX runtime: one thread, so that the page needs no cross-origin isolation.
 *
 * @throws PlayerError RUNTIME_FAILED
 */
export async function startOnnx(): Promise<Onnx> {
  try {
    const onnx = await import("onnxruntime-web/wasm");
    onnx.env.wasm.numThreads = 1;
    // Fetched here: the runtime fetches at its first graph, and after one failure never again.
    onnx.env.wasm.wasmBinary = await fetchBinary(onnxWasmUrl);
    return onnx;
  } catch (error) {
    throw PlayerError.from(error, "RUNTIME_FAILED", "The controller's runtime does not start in this browser");
  }
}

async function fetchBinary(url: string): Promise<ArrayBuffer> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} was answered with ${answer.status} ${answer.statusText}`.trim());
  return answer.arrayBuffer();
}
