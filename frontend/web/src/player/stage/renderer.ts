import { PCFShadowMap, WebGLRenderer } from "three";
import { PlayerError } from "../errors";

export interface StartedRenderer {
  readonly renderer: WebGLRenderer;
  /** Whether pictures are drawn without a graphics card. */
  readonly software: boolean;
}

const wanted: WebGLContextAttributes = {
  alpha: true,
  depth: true,
  stencil: false,
  premultipliedAlpha: true,
  preserveDrawingBuffer: false,
  powerPreference: "high-performance",
};

/**
 * Starts drawing on a new canvas. Where there is no graphics card, edges are not smoothed: that would cost more than all the rest.
 *
 * @throws PlayerError WEBGL_FAILED
 */
export function startRenderer(): StartedRenderer {
  try {
    const canvas = document.createElement("canvas");
    const start = (more: WebGLContextAttributes) => canvas.getContext("webgl2", { ...wanted, ...more });
    const quick = start({ antialias: true, failIfMajorPerformanceCaveat: true });
    const context = quick ?? start({ antialias: false });
    if (!context) throw new Error("it has no WebGL 2");
    const renderer = new WebGLRenderer({ canvas, context });
    renderer.shadowMap.enabled = true;
    renderer.shadowMap.type = PCFShadowMap;
    renderer.shadowMap.autoUpdate = false;
    // Asking whether a shader is right waits for its compiler; while developing, that is worth it.
    renderer.debug.checkShaderErrors = import.meta.env.DEV;
    return { renderer, software: !quick };
  } catch (error) {
    throw PlayerError.from(error, "WEBGL_FAILED", "This browser gives no 3D drawing; turn hardware acceleration on");
  }
}
