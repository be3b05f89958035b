import type { InferenceSession } from "onnxruntime-web/wasm";
import { PlayerError } from "../errors";
import type { Numbers, Tensor } from "./tensor";

/** A loaded ONNX graph. */
export interface Graph {
  readonly inputNames: readonly string[];
  /** @throws PlayerError GRAPH_FAILED */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Numbers>>>;
  release(): Promise<void>;
}

/** The ONNX runtime, once its module is loaded. */
export type Onnx = typeof import("onnxruntime-web/wasm");

/**
 * Loads a graph into the ONNX runtime.
 *
 * @throws PlayerError GRAPH_FAILED
 */
export async function loadGraph(onnx: Onnx, bytes: Uint8Array): Promise<Graph> {
  let session: InferenceSession;
  try {
    session = await onnx.InferenceSession.create(bytes, {
      executionProviders: ["wasm"],
      graphOptimizationLevel: "all",
      // Its warnings are about unused initializers and other things that nobody here can act on.
      logSeverityLevel: 3,
      // Bytes that are a graph in two formats are the one that was checked. Weights of 8 bits are multiplied out once,
      // not at every decision.
      extra: { session: { load_model_format: "ONNX", disable_quant_qdq: "1" } },
    });
  } catch (error) {
    throw PlayerError.from(error, "GRAPH_FAILED", "The controller's graph does not load");
  }
  return {
    inputNames: session.inputNames,
    run: async (feeds) => {
      try {
        const tensors = Object.entries(feeds).map(
          ([name, { dtype, shape, values }]) => [name, new onnx.Tensor(dtype, values, shape)] as const,
        );
        const outputs = await session.run(Object.fromEntries(tensors));
        return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Numbers]));
      } catch (error) {
        throw PlayerError.from(error, "GRAPH_FAILED", "The controller's graph failed");
      }
    },
    release: () => session.release(),
  };
}
