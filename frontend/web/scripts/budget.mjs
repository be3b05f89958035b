// What a browser must fetch before the first paint, measured in what was built: fails when it is more than 250 kB compressed.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MOST_BYTES = 250_000;
const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const page = readFileSync(join(dist, "index.html"), "utf8");
const named = [...page.matchAll(/<(?:script|link)\b[^>]*?(?:src|href)="(\/[^"]+\.(?:js|css))"/g)].map(
  ([, path]) => path,
);
const pending = named.filter((path) => path !== undefined);
const sizes = new Map();

// A module that another one imports at once is fetched with it, whether the page names it or not.
while (pending.length > 0) {
  const path = pending.pop();
  if (sizes.has(path)) continue;
  const content = readFileSync(join(dist, path));
  sizes.set(path, gzipSync(content).length);
  if (!path.endsWith(".js")) continue;
  const imports = content
    .toString("utf8")
    .matchAll(/(?:^|[;}\s])(?:import|export)\s*(?:[\w*{}\s,$]*\bfrom\s*)?["'](\.[^"']+\.js)["']/g);
  for (const [, relative] of imports) pending.push(join(dirname(path), relative));
}

if (![...sizes.keys()].some((path) => path.startsWith("/assets/") && path.endsWith(".js"))) {
  throw new Error("dist/index.html names no script; what is measured here is not what is served");
}
const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
for (const [path, size] of [...sizes].sort(([, a], [, b]) => b - a)) console.log(`${String(size).padStart(8)} ${path}`);
console.log(`${String(total).padStart(8)} bytes compressed before the first paint; at most ${MOST_BYTES}`);
if (total > MOST_BYTES) {
  console.error("Load what the first paint does without by `loadLater` (src/app/loadLater.ts).");
  process.exitCode = 1;
}
