import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page that plays one policy from the folder it lies in, wherever that is served: every path is relative.
export default defineConfig({
  root: "share",
  base: "./",
  publicDir: "../public",
  plugins: [react()],
  build: { target: "es2023", outDir: "../dist-share", emptyOutDir: true, chunkSizeWarningLimit: 900 },
  worker: { format: "es" },
  optimizeDeps: { exclude: ["@mujoco/mujoco", "onnxruntime-web"] },
});
