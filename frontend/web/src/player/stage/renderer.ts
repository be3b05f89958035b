import { type Camera, type Object3D, PCFShadowMap, type Scene, WebGLRenderer } from "three";
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
 * Starts drawing on a new canvas. Where the browser says that there is no graphics card, edges are not smoothed.
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
    const software = !quick || isSoftware(context);
    renderer.shadowMap.enabled = true;
    renderer.shadowMap.type = PCFShadowMap;
    renderer.shadowMap.autoUpdate = false;
    // Asking whether a shader is right waits for its compiler; while developing, that is worth it.
    renderer.debug.checkShaderErrors = import.meta.env.DEV;
    return { renderer, software };
  } catch (error) {
    throw PlayerError.from(error, "WEBGL_FAILED", "This browser gives no 3D drawing; turn hardware acceleration on");
  }
}

/** Not every browser thinks that a processor that plays the graphics card is a caveat. */
function isSoftware(context: WebGL2RenderingContext): boolean {
  const named = context.getExtension("WEBGL_debug_renderer_info");
  const name = named ? String(context.getParameter(named.UNMASKED_RENDERER_WEBGL)) : "";
  return /swiftshader|llvmpipe|softpipe|basic render/i.test(name);
}

/** Between two looks whether the graphics card has come so far. */
const lookMs = 15;

/**
 * Has what a scene is drawn with compiled, and comes back when that is done. Whoever asks for anything earlier waits for it, and
 * the whole page with them. Where the browser does not compile beside its other work, only `shown` is compiled, and the rest when
 * it is needed.
 */
export async function compiled(
  renderer: WebGLRenderer,
  scene: Scene,
  camera: Camera,
  shown: readonly Object3D[],
): Promise<void> {
  if (renderer.extensions.has("KHR_parallel_shader_compile")) {
    await renderer.compileAsync(scene, camera);
    return;
  }
  for (const object of shown) renderer.compile(object, camera, scene);
  const context = renderer.getContext();
  if (!(context instanceof WebGL2RenderingContext)) return;
  const mark = context.fenceSync(context.SYNC_GPU_COMMANDS_COMPLETE, 0);
  context.flush();
  // A context that is lost gives no mark, or one that is never passed.
  while (mark && !context.isContextLost() && context.getSyncParameter(mark, context.SYNC_STATUS) !== context.SIGNALED) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  context.deleteSync(mark);
}
