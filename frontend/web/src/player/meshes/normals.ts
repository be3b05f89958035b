import type { Triangles } from "../sceneDescription";
import { gather, weld } from "./weld";

/** Edges sharper than this stay sharp; flatter ones are shaded round. */
const creaseDegrees = 38;

/**
 * Gives triangles normals: smooth over flat edges, split at sharp ones. Each corner takes the mean of the faces around its
 * vertex that lie within the crease angle of its own face, weighted by their angle there.
 */
export function withCreasedNormals(
  positions: Float32Array,
  uvs: Float32Array | undefined,
  indices: Uint32Array,
): Triangles {
  const faces = faceNormals(positions, indices);
  // Where the texture is cut a place has several vertices, which are shaded as one.
  const { numbers } = weld(positions.length / 3, [{ values: positions, width: 3 }]);
  const around = cornersAround(numbers, indices);
  const weights = cornerAngles(positions, indices);
  const least = Math.cos((creaseDegrees * Math.PI) / 180);
  const sources: number[] = [];
  const normals: number[] = [];
  const made = new Uint32Array(indices.length);
  for (let place = 0; place + 1 < around.begins.length; place += 1) {
    const corners = around.corners.subarray(around.begins[place], around.begins[place + 1]);
    const first = sources.length;
    for (const corner of corners) {
      const vertex = indices[corner] ?? 0;
      const [x, y, z] = meanNormal(faces, weights, corners, corner, least);
      let at = first;
      while (at < sources.length && !(sources[at] === vertex && isClose(normals, at, x, y, z))) at += 1;
      if (at === sources.length) {
        sources.push(vertex);
        normals.push(x, y, z);
      }
      made[corner] = at;
    }
  }
  return {
    positions: gather({ values: positions, width: 3 }, sources),
    normals: Float32Array.from(normals),
    uvs: uvs && gather({ values: uvs, width: 2 }, sources),
    indices: made,
  };
}

function meanNormal(
  faces: Float32Array,
  weights: Float32Array,
  corners: Uint32Array,
  own: number,
  least: number,
): readonly [number, number, number] {
  const at = 3 * Math.floor(own / 3);
  const [ox = 0, oy = 0, oz = 1] = [faces[at], faces[at + 1], faces[at + 2]];
  let [x, y, z] = [0, 0, 0];
  for (const corner of corners) {
    const face = 3 * Math.floor(corner / 3);
    const [fx = 0, fy = 0, fz = 0, weight = 0] = [faces[face], faces[face + 1], faces[face + 2], weights[corner]];
    if (ox * fx + oy * fy + oz * fz < least) continue;
    x += weight * fx;
    y += weight * fy;
    z += weight * fz;
  }
  const length = Math.hypot(x, y, z);
  return length > 0 ? [x / length, y / length, z / length] : [ox, oy, oz];
}

/** Normals that differ by less than about half a degree are one. */
function isClose(normals: readonly number[], at: number, x: number, y: number, z: number): boolean {
  return x * (normals[3 * at] ?? 0) + y * (normals[3 * at + 1] ?? 0) + z * (normals[3 * at + 2] ?? 0) > 0.99996;
}

/** The unit normal of each face; that of one without area points up. */
function faceNormals(positions: Float32Array, indices: Uint32Array): Float32Array {
  const normals = new Float32Array(indices.length);
  for (let at = 0; at < indices.length; at += 3) {
    const [ax, ay, az] = edge(positions, indices, at, at + 1);
    const [bx, by, bz] = edge(positions, indices, at, at + 2);
    const [x, y, z] = [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
    const length = Math.hypot(x, y, z);
    if (length > 0) normals.set([x / length, y / length, z / length], at);
    else normals[at + 2] = 1;
  }
  return normals;
}

/** The angle of each face at each of its corners, in radians. */
function cornerAngles(positions: Float32Array, indices: Uint32Array): Float32Array {
  const angles = new Float32Array(indices.length);
  for (let corner = 0; corner < indices.length; corner += 1) {
    const face = corner - (corner % 3);
    const [ax, ay, az] = edge(positions, indices, corner, face + ((corner + 1) % 3));
    const [bx, by, bz] = edge(positions, indices, corner, face + ((corner + 2) % 3));
    const lengths = Math.hypot(ax, ay, az) * Math.hypot(bx, by, bz);
    if (lengths > 0) angles[corner] = Math.acos(Math.min(1, Math.max(-1, (ax * bx + ay * by + az * bz) / lengths)));
  }
  return angles;
}

function edge(positions: Float32Array, indices: Uint32Array, from: number, to: number): [number, number, number] {
  const [a, b] = [3 * (indices[from] ?? 0), 3 * (indices[to] ?? 0)];
  return [
    (positions[b] ?? 0) - (positions[a] ?? 0),
    (positions[b + 1] ?? 0) - (positions[a + 1] ?? 0),
    (positions[b + 2] ?? 0) - (positions[a + 2] ?? 0),
  ];
}

/** The corners that meet at each place: those of place i are `corners` from `begins[i]` to `begins[i + 1]`. */
function cornersAround(places: Uint32Array, indices: Uint32Array): { begins: Uint32Array; corners: Uint32Array } {
  const begins = new Uint32Array(places.length + 1);
  for (const vertex of indices) {
    const place = places[vertex] ?? 0;
    begins[place + 1] = (begins[place + 1] ?? 0) + 1;
  }
  for (let i = 0; i < places.length; i += 1) begins[i + 1] = (begins[i + 1] ?? 0) + (begins[i] ?? 0);
  const filled = begins.slice();
  const corners = new Uint32Array(indices.length);
  indices.forEach((vertex, corner) => {
    const place = places[vertex] ?? 0;
    const at = filled[place] ?? 0;
    corners[at] = corner;
    filled[place] = at + 1;
  });
  return { begins, corners };
}
