import type { MeshData, SurfaceForms, Triangles } from "../sceneDescription";
import { faithful, type MeshSource, type Simplifier, type Surface, shaded, simplify, surfaceOf } from "./simplifier";

/** How far a scene's meshes may be simplified. Errors are in parts of the radius of the ball in view, of which a pixel is about 0.003. */
export interface Level {
  /** Triangles in the picture, meshes that are drawn several times counted each time. */
  readonly triangles: number;
  /** The error that is always allowed, and the one beyond which the budget is given up. */
  readonly error: readonly [least: number, most: number];
}

/** For looking closely, and for screens that are drawn fast. */
export const fineLevel: Level = { triangles: 200_000, error: [0.0003, 0.003] };
/** For a laptop's integrated GPU, and without one. */
export const simpleLevel: Level = { triangles: 60_000, error: [0.0007, 0.01] };

/** A mesh, how far it reaches, and how often the scene draws it. */
export interface DrawnMesh {
  readonly source: MeshSource;
  readonly reach: number;
  readonly times: number;
}

/** What of a level is left to the meshes, however much ground there is. */
const leastShare = 0.6;
const errorStep = 1.7;
/** Below this saving a mesh keeps its own normals and its own triangles. */
const leastSaving = 0.1;

/**
 * Simplifies the meshes of a scene together: the same error for all of them, which makes small parts coarse and large parts
 * fine, raised until the budget is kept, of which what is drawn beside them has its part. Without a simplifier, and in scenes of
 * few triangles, meshes stay as they are.
 */
export function detailLevels(
  meshes: readonly DrawnMesh[],
  viewRadius: number,
  simplifier: Simplifier | undefined,
  beside: readonly SurfaceForms[] = [],
): MeshData[] {
  const left = (level: Level, of: (forms: SurfaceForms) => Triangles): Level => {
    const taken = beside.reduce((sum, forms) => sum + of(forms).indices.length / 3, 0);
    return { ...level, triangles: Math.max(leastShare * level.triangles, level.triangles - taken) };
  };
  const [forFine, forSimple] = [left(fineLevel, ({ fine }) => fine), left(simpleLevel, ({ simple }) => simple)];
  const total = meshes.reduce((sum, { source, times }) => sum + (times * source.faces.length) / 3, 0);
  if (!simplifier || total <= forSimple.triangles) {
    return meshes.map(({ source, reach, times }) => {
      const all = times > 0 ? faithful(source) : nothing;
      return { reach, fine: all, simple: all };
    });
  }
  const whole = meshes.map(({ source, times }) => (times > 0 ? surfaceOf(source) : undefined));
  const times = meshes.map((mesh) => mesh.times);
  const fine = withinBudget(simplifier, whole, times, forFine, viewRadius);
  const simple = withinBudget(simplifier, fine, times, forSimple, viewRadius);
  return meshes.map(({ source, reach }, i) => {
    const [ours, coarse] = [fine[i], simple[i]];
    if (!ours || !coarse) return { reach, fine: nothing, simple: nothing };
    const saves = (few: Surface, many: number) => few.indices.length < (1 - leastSaving) * many;
    const detailed = saves(ours, source.faces.length) ? shaded(ours) : faithful(source);
    return {
      reach,
      fine: detailed,
      simple: saves(coarse, detailed.indices.length) ? shaded(coarse) : detailed,
    };
  });
}

function withinBudget(
  simplifier: Simplifier,
  surfaces: readonly (Surface | undefined)[],
  times: readonly number[],
  { triangles, error: [least, most] }: Level,
  viewRadius: number,
): (Surface | undefined)[] {
  let simpler = [...surfaces];
  const drawn = () =>
    simpler.reduce((sum, surface, i) => sum + ((times[i] ?? 0) * (surface?.indices.length ?? 0)) / 3, 0);
  for (let error = least; error <= most; error *= errorStep) {
    simpler = simpler.map((surface) => surface && simplify(simplifier, surface, error * viewRadius));
    if (drawn() <= triangles) break;
  }
  return simpler;
}

const nothing: Triangles = {
  positions: new Float32Array(),
  normals: new Float32Array(),
  uvs: undefined,
  indices: new Uint32Array(),
};

/** Distance from the origin to the farthest of some points. */
export function reachOf(positions: Float32Array): number {
  let squared = 0;
  for (let i = 0; i + 2 < positions.length; i += 3) {
    const [x = 0, y = 0, z = 0] = [positions[i], positions[i + 1], positions[i + 2]];
    squared = Math.max(squared, x * x + y * y + z * z);
  }
  return Math.sqrt(squared);
}
