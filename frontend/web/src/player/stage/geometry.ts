import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  CapsuleGeometry,
  CylinderGeometry,
  PlaneGeometry,
  SphereGeometry,
} from "three";
import type { HeightFieldData, MeshData, SceneDescription, Shape } from "../sceneDescription";

/** Half the side of a plane that MuJoCo draws without end. */
export const endlessHalfSide = 60;

/** Builds a shape's geometry in MuJoCo's conventions: lengths are halves, the long axis is z. */
export function shapeGeometry(
  { shape, size, data }: Shape,
  { meshes, heightFields }: SceneDescription,
): BufferGeometry | undefined {
  const [a, b, c] = size;
  switch (shape) {
    case "plane":
      return new PlaneGeometry(2 * (a || endlessHalfSide), 2 * (b || endlessHalfSide));
    case "sphere":
      return new SphereGeometry(a, 28, 18);
    case "capsule":
      return new CapsuleGeometry(a, 2 * b, 8, 22).rotateX(Math.PI / 2);
    case "ellipsoid":
      return new SphereGeometry(1, 28, 18).scale(a, b, c);
    case "cylinder":
      return new CylinderGeometry(a, a, 2 * b, 28).rotateX(Math.PI / 2);
    case "box":
      return new BoxGeometry(2 * a, 2 * b, 2 * c);
    case "mesh": {
      const mesh = meshes[data];
      return mesh && meshGeometry(mesh);
    }
    case "hfield": {
      const field = heightFields[data];
      return field && heightFieldGeometry(field);
    }
  }
}

function meshGeometry({ positions, normals, uvs }: MeshData): BufferGeometry {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions, 3));
  geometry.setAttribute("normal", new BufferAttribute(normals, 3));
  if (uvs) geometry.setAttribute("uv", new BufferAttribute(uvs, 2));
  return geometry;
}

/** MuJoCo's rows run along y from low to high; three's from high to low. */
function heightFieldGeometry({ rows, columns, size, heights }: HeightFieldData): BufferGeometry {
  const geometry = new PlaneGeometry(2 * size[0], 2 * size[1], columns - 1, rows - 1);
  const positions = geometry.getAttribute("position");
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      positions.setZ((rows - 1 - row) * columns + column, (heights[row * columns + column] ?? 0) * size[2]);
    }
  }
  geometry.computeVertexNormals();
  return geometry;
}
