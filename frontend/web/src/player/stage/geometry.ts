import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CapsuleGeometry,
  CylinderGeometry,
  type Matrix4,
  PlaneGeometry,
  SphereGeometry,
} from "three";
import type { SceneDescription, Shape, Triangles } from "../sceneDescription";

/** How closely meshes and height fields are drawn; the other shapes know one form. */
export type Detail = "simple" | "fine";

/** Half the side of a plane that MuJoCo draws without end. */
export const endlessHalfSide = 60;

/** The triangles of a shape in MuJoCo's conventions: lengths are halves, the long axis is z. Of a height field they are those of one tile. */
export function shapeTriangles(
  { shape, size, data }: Shape,
  { meshes, heightFields }: Pick<SceneDescription, "meshes" | "heightFields">,
  detail: Detail,
  tile: number,
): Triangles | undefined {
  const [a, b, c] = size;
  switch (shape) {
    case "plane":
      return trianglesOf(new PlaneGeometry(2 * (a || endlessHalfSide), 2 * (b || endlessHalfSide)));
    case "sphere":
      return trianglesOf(new SphereGeometry(a, 28, 18));
    case "capsule":
      return trianglesOf(new CapsuleGeometry(a, 2 * b, 8, 22).rotateX(Math.PI / 2));
    case "ellipsoid":
      return trianglesOf(new SphereGeometry(1, 28, 18).scale(a, b, c));
    case "cylinder":
      return trianglesOf(new CylinderGeometry(a, a, 2 * b, 28).rotateX(Math.PI / 2));
    case "box":
      return trianglesOf(new BoxGeometry(2 * a, 2 * b, 2 * c));
    case "mesh":
      return meshes[data]?.[detail];
    case "hfield":
      return heightFields[data]?.[tile]?.[detail];
  }
}

/** One geometry of several, each put in its place. Texture coordinates are kept where they are wanted; one that has none gets zeros. */
export function joined(
  pieces: readonly { readonly triangles: Triangles; readonly place: Matrix4 }[],
  textured: boolean,
): BufferGeometry {
  const vertices = pieces.reduce((sum, { triangles }) => sum + triangles.positions.length / 3, 0);
  const corners = pieces.reduce((sum, { triangles }) => sum + triangles.indices.length, 0);
  const positions = new BufferAttribute(new Float32Array(3 * vertices), 3);
  const normals = new BufferAttribute(new Float32Array(3 * vertices), 3);
  const uvs = new Float32Array(textured ? 2 * vertices : 0);
  const indices = new Uint32Array(corners);
  let [vertex, corner] = [0, 0];
  for (const { triangles, place } of pieces) {
    const count = triangles.positions.length / 3;
    (positions.array as Float32Array).set(transformed(triangles.positions, place, 1), 3 * vertex);
    (normals.array as Float32Array).set(transformed(triangles.normals, place, 0), 3 * vertex);
    if (textured && triangles.uvs) uvs.set(triangles.uvs, 2 * vertex);
    for (let i = 0; i < triangles.indices.length; i += 1) indices[corner + i] = vertex + (triangles.indices[i] ?? 0);
    vertex += count;
    corner += triangles.indices.length;
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", positions);
  geometry.setAttribute("normal", normals);
  if (textured) geometry.setAttribute("uv", new BufferAttribute(uvs, 2));
  geometry.setIndex(new BufferAttribute(vertices < 65_536 ? Uint16Array.from(indices) : indices, 1));
  return geometry;
}

/** Points (`w` 1) or directions (`w` 0) in another frame, which is turned and shifted but not stretched. */
function transformed(values: Float32Array, { elements: m }: Matrix4, w: 0 | 1): Float32Array {
  const [a = 1, b = 0, c = 0, , d = 0, e = 1, f = 0, , g = 0, h = 0, i = 1, , tx = 0, ty = 0, tz = 0] = m;
  const out = new Float32Array(values.length);
  for (let at = 0; at + 2 < values.length; at += 3) {
    const [x = 0, y = 0, z = 0] = [values[at], values[at + 1], values[at + 2]];
    out[at] = a * x + d * y + g * z + w * tx;
    out[at + 1] = b * x + e * y + h * z + w * ty;
    out[at + 2] = c * x + f * y + i * z + w * tz;
  }
  return out;
}

function trianglesOf(geometry: BufferGeometry): Triangles {
  const numbers = (name: string) => Float32Array.from(geometry.getAttribute(name).array);
  return {
    positions: numbers("position"),
    normals: numbers("normal"),
    uvs: numbers("uv"),
    indices: Uint32Array.from(geometry.getIndex()?.array ?? []),
  };
}
