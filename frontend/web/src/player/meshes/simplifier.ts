import type { Triangles } from "../sceneDescription";
import { withCreasedNormals } from "./normals";
import { compactRows, gather, weld } from "./weld";

/** meshoptimizer's simplifier, as far as it is used. */
export type Simplifier = typeof import("meshoptimizer/simplifier")["MeshoptSimplifier"];

let started: Simplifier | undefined;

/** Loads the simplifier, once. Where it does not start, meshes are drawn as they are. */
export async function startSimplifier(): Promise<void> {
  if (started) return;
  try {
    const { MeshoptSimplifier } = await import("meshoptimizer/simplifier");
    await MeshoptSimplifier.ready;
    if (MeshoptSimplifier.supported) started = MeshoptSimplifier;
  } catch {
    // Slower to draw, and nothing else is lost.
  }
}

/** The simplifier, where it has started. */
export function startedSimplifier(): Simplifier | undefined {
  return started;
}

/** A mesh as MuJoCo keeps it: separate indices for positions, normals and texture coordinates at each corner. */
export interface MeshSource {
  readonly positions: Float32Array;
  readonly faces: Int32Array;
  readonly normals: Float32Array;
  readonly faceNormals: Int32Array;
  readonly uvs: Float32Array | undefined;
  readonly faceUvs: Int32Array | undefined;
}

/** The shape of a mesh without its normals, which are made anew for fewer triangles. */
export interface Surface {
  readonly positions: Float32Array<ArrayBuffer>;
  readonly uvs: Float32Array<ArrayBuffer> | undefined;
  readonly indices: Uint32Array<ArrayBuffer>;
}

/** The mesh as it is, each different corner once. */
export function faithful(source: MeshSource): Triangles {
  const positions = { values: source.positions, width: 3, rows: source.faces };
  const normals = { values: source.normals, width: 3, rows: source.faceNormals };
  const uvs = source.uvs && { values: source.uvs, width: 2, rows: source.faceUvs };
  const { numbers, firsts } = weld(source.faces.length, uvs ? [positions, normals, uvs] : [positions, normals]);
  return {
    positions: gather(positions, firsts),
    normals: gather(normals, firsts),
    uvs: uvs && gather(uvs, firsts),
    indices: numbers,
  };
}

/** The mesh's shape, each place once (each place and texture coordinate, where there is a texture). */
export function surfaceOf({ positions, faces, uvs, faceUvs }: MeshSource): Surface {
  if (!uvs) {
    const column = { values: positions, width: 3 };
    const { numbers, firsts } = weld(positions.length / 3, [column]);
    return {
      positions: gather(column, firsts),
      uvs: undefined,
      indices: Uint32Array.from(faces, (i) => numbers[i] ?? 0),
    };
  }
  const places = { values: positions, width: 3, rows: faces };
  const coordinates = { values: uvs, width: 2, rows: faceUvs };
  const { numbers, firsts } = weld(faces.length, [places, coordinates]);
  return { positions: gather(places, firsts), uvs: gather(coordinates, firsts), indices: numbers };
}

/** What a shift of the texture by its whole width weighs against a shift of the surface by the mesh's size. */
const textureWeight = 0.5;

/** Leaves triangles out as long as the surface stays within `error` of where it was, in metres. Never leaves all of them out. */
export function simplify(simplifier: Simplifier, surface: Surface, error: number): Surface {
  const { positions, uvs, indices } = surface;
  const [kept] = uvs
    ? simplifier.simplifyWithAttributes(indices, positions, 3, uvs, 2, [textureWeight, textureWeight], null, 0, error, [
        "ErrorAbsolute",
        "Prune",
      ])
    : simplifier.simplify(indices, positions, 3, 0, error, ["ErrorAbsolute", "Prune"]);
  return kept.length === 0 ? surface : compact({ positions, uvs, indices: Uint32Array.from(kept) });
}

/** Gives a surface its normals. */
export function shaded({ positions, uvs, indices }: Surface): Triangles {
  return withCreasedNormals(positions, uvs, indices);
}

/** Drops the vertices that no face needs any more. */
function compact({ positions, uvs, indices }: Surface): Surface {
  const { numbers, wanted } = compactRows(indices, positions.length / 3);
  return {
    positions: gather({ values: positions, width: 3 }, wanted),
    uvs: uvs && gather({ values: uvs, width: 2 }, wanted),
    indices: numbers,
  };
}
