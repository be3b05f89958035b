import { Camera, Scene, type WebGLRenderer } from "three";
import { expect, it } from "vitest";
import { compilePrograms } from "./compiling";

/** A renderer with named programs that tells which were waited for; a task of the page comes between two lines. */
function rendererOf(names: readonly string[], onAsked: (name: string) => void = () => undefined) {
  const told: string[] = [];
  let lost = false;
  const programs = names.map((name) => ({
    name,
    getUniforms() {
      told.push(name);
      onAsked(name);
      setTimeout(() => told.push("page"));
    },
  }));
  const renderer = {
    compileAsync: async () => undefined,
    capabilities: { getMaxAnisotropy: () => 1 },
    info: { programs },
    getContext: () => ({ isContextLost: () => lost }),
  } as unknown as WebGLRenderer;
  const lose = () => {
    lost = true;
  };
  return { renderer, programs, told, lose };
}

it("given several programs, when they are compiled, then the page has its turn after each", async () => {
  const { renderer, told } = rendererOf(["ground", "robot"]);
  await compilePrograms(renderer, new Scene(), new Camera());
  expect(told).toEqual(["ground", "page", "robot", "page"]);
});

it("given a scene that is replaced meanwhile, when its programs are gone, then nobody asks for them", async () => {
  const { renderer, programs, told } = rendererOf(["ground", "robot"], () => programs.splice(1));
  await compilePrograms(renderer, new Scene(), new Camera());
  expect(told).toEqual(["ground", "page"]);
});

it("given a context that is lost meanwhile, when programs are left, then nobody asks for them", async () => {
  const { renderer, told, lose } = rendererOf(["ground", "robot"], () => lose());
  await compilePrograms(renderer, new Scene(), new Camera());
  expect(told).toEqual(["ground", "page"]);
});
