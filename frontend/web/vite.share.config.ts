import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { licences } from "./vite.licences";

const { plugin, inWorker } = licences("third-party-licences.txt");

// The page that plays one policy from the folder it lies in, wherever that is served: every path is relative.
export default defineConfig({
  root: "share",
  base: "./",
  publicDir: "../public",
  plugins: [react(), plugin],
  build: { target: "es2023", outDir: "../dist-share", emptyOutDir: true, chunkSizeWarningLimit: 900 },
  worker: { format: "es", plugins: () => [inWorker()] },
  optimizeDeps: { exclude: ["@mujoco/mujoco", "onnxruntime-web"] },
});
