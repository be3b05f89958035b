import { expect, test } from "vitest";
import type { PlayerErrorCode } from "../player";
import { troubleOf } from "./playerTrouble";

const CODES: readonly PlayerErrorCode[] = [
  "WASM_FAILED",
  "RUNTIME_FAILED",
  "WEBGL_FAILED",
  "ARTIFACT_UNREACHABLE",
  "ARTIFACT_MISSING",
  "DIGEST_MISMATCH",
  "SCENE_INVALID",
  "MANIFEST_INVALID",
  "GRAPH_FAILED",
  "PHYSICS_DIVERGED",
  "WORKER_CRASHED",
];

test("given what can fail in the player, when it is told, then in plain words and with something to do", () => {
  const titles = new Set(CODES.map((code) => troubleOf(code).title));
  expect(titles.size).toBe(CODES.length);
  for (const code of CODES) {
    const { title, remedy } = troubleOf(code);
    expect(title, code).not.toMatch(/[A-Z]{2,}_|WASM|ONNX|graph|manifest|worker|digest/i);
    expect(remedy, code).toMatch(/\b(choose|use|turn on|check|start|train|try|correct)\b/i);
  }
});
