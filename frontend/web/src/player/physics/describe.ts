import type { MjModel } from "@mujoco/mujoco";
import { detailLevels, reachOf } from "../meshes/levels";
import { type MeshSource, startedSimplifier } from "../meshes/simplifier";
import { type Grid, terrainForms } from "../meshes/terrain";
import {
  type GeomShape,
  type SceneDescription,
  type Shape,
  type SnapshotLayout,
  type Surface,
  snapshotLength,
  type TendonShape,
  type TextureData,
} from "../sceneDescription";
import { frameScene, isShown } from "../stage/framing";
import { readOff } from "./accessor";
import { pictureOf } from "./picture";
import { segmentCapacities, treesOf, writePoses } from "./poses";
import { gravityOf } from "./robotMass";
import type { Simulation } from "./simulation";

/** By the values of MuJoCo's `mjtGeom`. */
const shapeNames: readonly GeomShape[] = [
  "plane",
  "hfield",
  "sphere",
  "capsule",
  "ellipsoid",
  "cylinder",
  "box",
  "mesh",
];

/** MuJoCo's `mjTEXTURE_2D`; the others are for the sky and for cubes. */
const texture2d = 0;

/** Reads from a model all that is drawn. The simulation must be in its reference state. */
export function describeScene(environmentId: string, simulation: Simulation): SceneDescription {
  const { model, data } = simulation;
  const textures = new Textures(model);
  const capacities = segmentCapacities(model);
  const layout: SnapshotLayout = {
    geoms: model.ngeom,
    sites: model.nsite,
    segments: capacities.reduce((sum, count) => sum + count, 0),
  };
  const referencePoses = new Float32Array(snapshotLength(layout));
  writePoses(model, data, layout, referencePoses);
  const bare = {
    environmentId,
    layout,
    geoms: Array.from({ length: model.ngeom }, (_, i) => geom(model, i, textures)),
    sites: Array.from({ length: model.nsite }, (_, i) => site(model, i, textures)),
    tendons: capacities.map((segments, i) => tendon(model, i, segments)),
    textures: textures.collected,
    cameraDirection: model.ncam > 0 ? cameraDirection(data.cam_xmat) : undefined,
    anchored: anchoredParts(simulation),
    slideReach: slideReach(model),
    weightNewtons: weight(model),
    referencePoses,
  };
  return { ...bare, ...surfaces(model, bare) };
}

/** Weight of all that moves, in newtons: what contact forces are measured by. */
function weight(model: MjModel): number {
  return gravityOf(model) * treesOf(model).reduce((sum, { root }) => sum + (model.body_subtreemass[root] as number), 0);
}

function anchoredParts({ model, data }: Simulation): SceneDescription["anchored"] {
  return treesOf(model).flatMap(({ root, anchorJoint }) => {
    if (anchorJoint === undefined) return [];
    const tree = model.body_treeid[root];
    const bodies = Array.from({ length: model.nbody }, (_, body) => body).filter((b) => model.body_treeid[b] === tree);
    return [{ point: triple(data.xanchor, anchorJoint), bodies }];
  });
}

function slideReach(model: MjModel): number {
  const slide = 2;
  const reaches = Array.from({ length: model.njnt }, (_, i) => {
    const limited = model.jnt_type[i] === slide && readOff(model.jnt(i), (joint) => Boolean(joint.limited));
    return limited ? (model.jnt_range[2 * i + 1] - model.jnt_range[2 * i]) / 2 : 0;
  });
  return Math.max(0, ...reaches);
}

function geom(model: MjModel, i: number, textures: Textures): Shape {
  return {
    name: readOff(model.geom(i), ({ name }) => name),
    shape: shapeNames[model.geom_type[i] as number] ?? "sphere",
    size: triple(model.geom_size, i),
    body: model.geom_bodyid[i],
    moves: model.body_treeid[model.geom_bodyid[i]] >= 0,
    data: model.geom_dataid[i],
    group: model.geom_group[i],
    surface: surface(model, model.geom_matid[i], quadruple(model.geom_rgba, i), textures),
  };
}

function site(model: MjModel, i: number, textures: Textures): Shape {
  return {
    name: readOff(model.site(i), ({ name }) => name),
    shape: shapeNames[model.site_type[i] as number] ?? "sphere",
    size: triple(model.site_size, i),
    body: model.site_bodyid[i],
    moves: model.body_treeid[model.site_bodyid[i]] >= 0,
    data: -1,
    group: model.site_group[i],
    surface: surface(model, model.site_matid[i], quadruple(model.site_rgba, i), textures),
  };
}

function tendon(model: MjModel, i: number, segments: number): TendonShape {
  const material: number = model.tendon_matid[i];
  const rgba = material >= 0 ? quadruple(model.mat_rgba, material) : quadruple(model.tendon_rgba, i);
  return { radius: model.tendon_width[i], rgba, segments };
}

function surface(
  model: MjModel,
  material: number,
  rgba: readonly [number, number, number, number],
  textures: Textures,
): Surface {
  if (material < 0) {
    return {
      material: "",
      rgba,
      specular: 0.5,
      shininess: 0.5,
      emission: 0,
      texture: -1,
      textureRepeat: [1, 1],
      textureUniform: false,
    };
  }
  return {
    material: model.mat(material).name,
    rgba: quadruple(model.mat_rgba, material),
    specular: model.mat_specular[material],
    shininess: model.mat_shininess[material],
    emission: model.mat_emission[material],
    texture: textures.ofMaterial(material),
    textureRepeat: [model.mat_texrepeat[2 * material], model.mat_texrepeat[2 * material + 1]],
    // The array of all of them cannot be read (it holds truth values); the accessor of one can.
    textureUniform: Boolean(model.mat(material).texuniform),
  };
}

/** Collects the 2-d textures that materials use; the sky's, which are many megabytes, stay behind. */
class Textures {
  readonly collected: TextureData[] = [];
  readonly #indices = new Map<number, number>();

  constructor(readonly model: MjModel) {}

  ofMaterial(material: number): number {
    const { model } = this;
    const roles = model.nmat > 0 ? model.mat_texid.length / model.nmat : 0;
    const ids: Int32Array = model.mat_texid.subarray(material * roles, (material + 1) * roles);
    const id = ids.find((candidate) => candidate >= 0 && model.tex_type[candidate] === texture2d);
    return id === undefined ? -1 : this.#indexOf(id);
  }

  #indexOf(id: number): number {
    const known = this.#indices.get(id);
    if (known !== undefined) return known;
    const { model } = this;
    const [width = 0, height = 0, channels = 1]: number[] = [
      model.tex_width[id],
      model.tex_height[id],
      model.tex_nchannel[id],
    ];
    const begin = Number(model.tex_adr[id]);
    const pixels: Uint8Array = model.tex_data.subarray(begin, begin + width * height * channels);
    const index = this.collected.length;
    this.collected.push(pictureOf(pixels, width, height, channels));
    this.#indices.set(id, index);
    return index;
  }
}

type Surfaces = Pick<SceneDescription, "meshes" | "heightFields">;

/** Meshes and height fields, simplified as far as the default view allows; meshes that nothing shows stay behind. */
function surfaces(model: MjModel, scene: Omit<SceneDescription, keyof Surfaces>): Surfaces {
  const shown = [...scene.geoms, ...scene.sites].filter((shape) => shape.shape === "mesh" && isShown(shape));
  const sources = Array.from({ length: model.nmesh }, (_, i) => {
    const drawn = shown.filter(({ data }) => data === i);
    const textured = drawn.some(({ surface }) => surface.texture >= 0);
    const source = meshSource(model, i, textured);
    return { source, reach: reachOf(source.positions), times: drawn.length };
  });
  const { radius } = frameScene({ ...scene, meshes: sources });
  const grids = Array.from({ length: model.nhfield }, (_, i) => grid(model, i));
  const heightFields = terrainForms(grids, radius, startedSimplifier());
  return { meshes: detailLevels(sources, radius, startedSimplifier(), heightFields.flat()), heightFields };
}

/** Views of a mesh in the model's memory. MuJoCo keeps separate indices for positions, normals and texture coordinates. */
function meshSource(model: MjModel, i: number, textured: boolean): MeshSource {
  const [face = 0, faces = 0]: number[] = [model.mesh_faceadr[i], model.mesh_facenum[i]];
  const corners = (indices: Int32Array) => indices.subarray(3 * face, 3 * (face + faces));
  const part = (values: Float32Array, width: number, first: number, count: number) =>
    values.subarray(width * first, width * (first + count));
  const texcoords: number = model.mesh_texcoordadr[i];
  const hasUvs = textured && texcoords >= 0;
  return {
    positions: part(model.mesh_vert, 3, model.mesh_vertadr[i], model.mesh_vertnum[i]),
    faces: corners(model.mesh_face),
    normals: part(model.mesh_normal, 3, model.mesh_normaladr[i], model.mesh_normalnum[i]),
    faceNormals: corners(model.mesh_facenormal),
    uvs: hasUvs ? part(model.mesh_texcoord, 2, texcoords, model.mesh_texcoordnum[i]) : undefined,
    faceUvs: hasUvs ? corners(model.mesh_facetexcoord) : undefined,
  };
}

function grid(model: MjModel, i: number): Grid {
  const [rows, columns, first]: number[] = [model.hfield_nrow[i], model.hfield_ncol[i], model.hfield_adr[i]];
  const count = (rows ?? 0) * (columns ?? 0);
  return {
    rows: rows ?? 0,
    columns: columns ?? 0,
    size: quadruple(model.hfield_size, i),
    heights: model.hfield_data.subarray(first, (first ?? 0) + count),
  };
}

/** A camera looks along the negative third axis of its frame. */
function cameraDirection(matrices: Float64Array): readonly [number, number, number] {
  const [x = 0, y = 0, z = 1] = [matrices[2], matrices[5], matrices[8]];
  return [-x, -y, -z];
}

function triple(values: ArrayLike<number>, i: number): readonly [number, number, number] {
  const [a = 0, b = 0, c = 0] = Array.from({ length: 3 }, (_, k) => values[3 * i + k]);
  return [a, b, c];
}

function quadruple(values: ArrayLike<number>, i: number): readonly [number, number, number, number] {
  const [a = 0, b = 0, c = 0, d = 0] = Array.from({ length: 4 }, (_, k) => values[4 * i + k]);
  return [a, b, c, d];
}
