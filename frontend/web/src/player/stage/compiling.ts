import type { Camera, Scene, WebGLRenderer } from "three";

/**
 * Compiles the programs that draw a scene beside everything else. A first frame that needs programs which are not compiled would
 * hold the whole page up for all of them together: seconds, on a slow machine.
 */
export async function compilePrograms(renderer: WebGLRenderer, scene: Scene, camera: Camera): Promise<void> {
  await renderer.compileAsync(scene, camera);
  // Asked after something was drawn, both this and a program would be waited for until that is on the screen.
  renderer.capabilities.getMaxAnisotropy();
  // Where a browser cannot say when a program is ready, it is waited for, but for one at a time.
  for (const program of [...(renderer.info.programs ?? [])]) {
    if (renderer.getContext().isContextLost()) return;
    if (renderer.info.programs?.includes(program)) program.getUniforms();
    await new Promise((resolve) => setTimeout(resolve));
  }
}
