import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Plugin } from "vite";

const PACKAGE = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;
const LICENCE_FILE = /^(licen[sc]e|copying|notice)/i;

/**
 * Writes the licences of all packages that end up in a build, for who hands the build on. The one `plugin` is for the page, the `inWorker`
 * for its workers, which Vite builds on their own and first.
 */
export function licences(fileName: string): { plugin: Plugin; inWorker: () => Plugin } {
  const folders = new Set<string>();
  const note = (id: string) => {
    const folder = PACKAGE.exec(id.replace(/^\0/, ""))?.[1];
    if (folder && existsSync(join(folder, "package.json"))) folders.add(folder);
  };
  const collecting: Plugin["moduleParsed"] = ({ id }) => note(id);
  let root = "";
  return {
    inWorker: () => ({ name: "licences-in-worker", moduleParsed: collecting }),
    plugin: {
      name: "licences",
      configResolved: (config) => {
        root = config.root;
      },
      moduleParsed: collecting,
      generateBundle(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (file.type === "asset") for (const name of file.originalFileNames) note(resolve(root, name));
        }
        this.emitFile({ type: "asset", fileName, source: [...folders].sort().map(licenceOf).join("\n\n") });
      },
    },
  };
}

function licenceOf(folder: string): string {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const by = typeof author === "string" ? author : author?.name;
  const file = readdirSync(folder).find((each) => LICENCE_FILE.test(each));
  const heading = `${name} ${version}, ${license}${by ? `, by ${by}` : ""}`;
  const text = file ? readFileSync(join(folder, file), "utf8").trim() : "";
  return `${heading}\n${"=".repeat(heading.length)}\n\n${text}`.trim();
}
