// Generates src/gen from the contracts when `make proto` is not at hand; the same plugin and options as buf.gen.yaml.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const root = join(web, "..", "..");
const venvBuf = join(root, ".venv", "bin", "buf");
const template = {
  version: "v2",
  clean: true,
  inputs: [{ directory: ".", exclude_types: ["buf.validate"] }],
  plugins: [
    {
      local: [process.execPath, join(web, "node_modules/@bufbuild/protoc-gen-es/bin/protoc-gen-es")],
      out: join(web, "src/gen"),
      opt: ["target=ts"],
    },
  ],
};
execFileSync(existsSync(venvBuf) ? venvBuf : "buf", ["generate", "--template", JSON.stringify(template)], {
  cwd: root,
  stdio: "inherit",
});
