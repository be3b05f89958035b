/** How a snapshot's `poses` are laid out: geoms, sites (7 numbers each: position, quaternion x y z w), tendon segments (6 each: two ends), focus (3). */
export interface SnapshotLayout {
  readonly geoms: number;
  readonly sites: number;
  readonly segments: number;
}

export type GeomShape = "plane" | "hfield" | "sphere" | "capsule" | "ellipsoid" | "cylinder" | "box" | "mesh";

/** How a surface looks. */
export interface Surface {
  /** Name of its material; empty without one. */
  readonly material: string;
  /** Linear red, green, blue as MuJoCo gives them (sRGB values), and opacity. */
  readonly rgba: readonly [number, number, number, number];
  readonly specular: number;
  readonly shininess: number;
  readonly emission: number;
  /** Index into `textures`; -1 for none. */
  readonly texture: number;
  readonly textureRepeat: readonly [number, number];
  /** Whether the repeats count per metre and not per object. */
  readonly textureUniform: boolean;
}

/** A geom or site to draw; its pose comes with each snapshot, at the same index. */
export interface Shape {
  readonly name: string;
  readonly shape: GeomShape;
  /** MuJoCo's `size`. */
  readonly size: readonly [number, number, number];
  /** Body it belongs to; 0 is the world. */
  readonly body: number;
  /** Whether forces move that body: it is no part of the world and no target. */
  readonly moves: boolean;
  /** Index into `meshes` or `heightFields`; -1 for the other shapes. */
  readonly data: number;
  readonly surface: Surface;
  /** MuJoCo's group; viewers show groups 0 to 2. */
  readonly group: number;
}

/** A surface of triangles: three indices for each face. */
export interface Triangles {
  readonly positions: Float32Array<ArrayBuffer>;
  readonly normals: Float32Array<ArrayBuffer>;
  /** Absent when the mesh has no texture coordinates. */
  readonly uvs: Float32Array<ArrayBuffer> | undefined;
  readonly indices: Uint32Array<ArrayBuffer>;
}

/** A surface in two degrees of detail, which are one and the same where nothing would be saved. */
export interface SurfaceForms {
  readonly fine: Triangles;
  readonly simple: Triangles;
}

/** A mesh; both its forms are empty when it is not shown. */
export interface MeshData extends SurfaceForms {
  /** Distance from the mesh's origin to its farthest vertex, in metres. */
  readonly reach: number;
}

/** A picture, four bytes a pixel. */
export interface TextureData {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** A spatial tendon to draw: `segments` straight pieces, the unused ones of no length. */
export interface TendonShape {
  readonly radius: number;
  readonly rgba: readonly [number, number, number, number];
  readonly segments: number;
}

/** All that is drawn and does not change while the scene is loaded. */
export interface SceneDescription {
  readonly environmentId: string;
  readonly layout: SnapshotLayout;
  readonly geoms: readonly Shape[];
  readonly sites: readonly Shape[];
  readonly tendons: readonly TendonShape[];
  readonly meshes: readonly MeshData[];
  /** Each in tiles, of which only those in view are drawn. */
  readonly heightFields: readonly (readonly SurfaceForms[])[];
  readonly textures: readonly TextureData[];
  /** Direction in which the model's first camera looks; absent without a camera. */
  readonly cameraDirection: readonly [number, number, number] | undefined;
  /** Parts that hang on the world by a hinge or ball: the hinge's place, and the bodies that swing about it. */
  readonly anchored: readonly {
    readonly point: readonly [number, number, number];
    readonly bodies: readonly number[];
  }[];
  /** How far limited slide joints let the robot go from the middle of their range, in metres; 0 without any. */
  readonly slideReach: number;
  /** Weight of all that moves, in newtons. */
  readonly weightNewtons: number;
  /** Poses at the model's reference state, laid out as a snapshot's. */
  readonly referencePoses: Float32Array<ArrayBuffer>;
}

/** Numbers in a snapshot of this layout. */
export function snapshotLength(layout: SnapshotLayout): number {
  return 7 * (layout.geoms + layout.sites) + 6 * layout.segments + 3;
}

/** Where each section of a snapshot begins. */
export function snapshotOffsets(layout: SnapshotLayout): { sites: number; segments: number; focus: number } {
  const sites = 7 * layout.geoms;
  const segments = sites + 7 * layout.sites;
  return { sites, segments, focus: segments + 6 * layout.segments };
}

/** The buffers of all that is large in a description, each once: what crosses to the page without being copied. */
export function buffersOf({ meshes, heightFields, textures }: SceneDescription): ArrayBuffer[] {
  const surfaces = [...meshes, ...heightFields.flat()].flatMap(({ fine, simple }) => [fine, simple]);
  const arrays = surfaces.flatMap(({ positions, normals, uvs, indices }) => [
    positions,
    normals,
    ...(uvs ? [uvs] : []),
    indices,
  ]);
  return Array.from(new Set([...arrays.map(({ buffer }) => buffer), ...textures.map(({ rgba }) => rgba.buffer)]));
}

/** Triangles of the meshes and height fields, in the lesser detail, those out of view included. */
export function drawnTriangles({ geoms, sites, meshes, heightFields }: SceneDescription): number {
  const forms = ({ shape, data }: Shape): readonly (SurfaceForms | undefined)[] =>
    (shape === "hfield" ? heightFields[data] : [meshes[data]]) ?? [];
  return [...geoms, ...sites]
    .filter(({ shape, group }) => (shape === "mesh" || shape === "hfield") && group <= 2)
    .flatMap(forms)
    .reduce((sum, form) => sum + (form?.simple.indices.length ?? 0) / 3, 0);
}
