import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` serves the page itself and passes everything else on to a running gateway.
const gateway = process.env.TABRL_GATEWAY ?? "http://127.0.0.1:8080";
const passedOn = ["/tabrl.", "/artifacts", "/api", "/healthz"];

export default defineConfig({
  plugins: [react()],
  build: { target: "es2023", chunkSizeWarningLimit: 900 },
  worker: { format: "es" },
  // Their wasm files are found relative to the module; pre-bundling would move them.
  optimizeDeps: { exclude: ["@mujoco/mujoco", "onnxruntime-web"] },
  server: { proxy: Object.fromEntries(passedOn.map((path) => [path, { target: gateway }])) },
});
