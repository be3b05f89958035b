import type { SurfaceForms, Triangles } from "../sceneDescription";
import { fineLevel, type Level, simpleLevel } from "./levels";
import type { Simplifier } from "./simplifier";
import { compactRows, gather } from "./weld";

/** A grid of heights, as MuJoCo keeps it: rows along y and columns along x, from low to high. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  /** Half width, half depth, height at 1, base below 0. */
  readonly size: readonly [number, number, number, number];
  readonly heights: Float32Array;
}

/** What the grids of a scene may take of its triangles; the robot gets the rest. */
const share = 0.4;
/** Feet that stand on the ground are seen to stand on it, so it is kept nearer than robots' parts. */
const errors = { fine: [0.0003, 0.002], simple: [0.0007, 0.01] } as const;

/**
 * Simplifies the height fields of a scene: as few triangles as keep the ground where it was, and no more than their share where
 * that can be had. The normals stay those of the whole grid, so that the ground is shaded as before, and borders stay in place.
 */
export function terrainForms(
  grids: readonly Grid[],
  viewRadius: number,
  simplifier: Simplifier | undefined,
): SurfaceForms[] {
  const most = (level: Level) => (share * level.triangles) / Math.max(1, grids.length);
  return grids.map((grid) => {
    const whole = gridSurface(grid);
    if (!simplifier) return { fine: whole, simple: whole };
    const fine = simplified(simplifier, whole, most(fineLevel), errors.fine, viewRadius);
    return { fine, simple: simplified(simplifier, fine, most(simpleLevel), errors.simple, viewRadius) };
  });
}

/** The whole grid, two triangles a cell, shaded smooth. */
export function gridSurface({ rows, columns, size: [halfWidth, halfDepth, top], heights }: Grid): Triangles {
  const vertices = rows * columns;
  const [positions, normals] = [new Float32Array(3 * vertices), new Float32Array(3 * vertices)];
  const uvs = new Float32Array(2 * vertices);
  const [stepX, stepY] = [(2 * halfWidth) / (columns - 1), (2 * halfDepth) / (rows - 1)];
  const height = (row: number, column: number) => top * (heights[row * columns + column] ?? 0);
  for (let row = 0; row < rows; row += 1) {
    const [before, after] = [Math.max(0, row - 1), Math.min(rows - 1, row + 1)];
    for (let column = 0; column < columns; column += 1) {
      const at = row * columns + column;
      const [left, right] = [Math.max(0, column - 1), Math.min(columns - 1, column + 1)];
      positions.set([column * stepX - halfWidth, row * stepY - halfDepth, height(row, column)], 3 * at);
      const x = (height(row, left) - height(row, right)) / ((right - left) * stepX);
      const y = (height(before, column) - height(after, column)) / ((after - before) * stepY);
      const length = Math.hypot(x, y, 1);
      normals.set([x / length, y / length, 1 / length], 3 * at);
      uvs.set([column / (columns - 1), row / (rows - 1)], 2 * at);
    }
  }
  return { positions, normals, uvs, indices: gridIndices(rows, columns) };
}

function gridIndices(rows: number, columns: number): Uint32Array<ArrayBuffer> {
  const indices = new Uint32Array(6 * (rows - 1) * (columns - 1));
  let next = 0;
  for (let row = 0; row + 1 < rows; row += 1) {
    for (let column = 0; column + 1 < columns; column += 1) {
      const at = row * columns + column;
      indices.set([at, at + 1, at + columns + 1, at, at + columns + 1, at + columns], next);
      next += 6;
    }
  }
  return indices;
}

/** All that the least error allows is left out, and for the budget as much more as the greatest one does. */
function simplified(
  simplifier: Simplifier,
  surface: Triangles,
  triangles: number,
  [least, most]: readonly [number, number],
  viewRadius: number,
): Triangles {
  const { positions, normals, uvs, indices } = surface;
  const fewer = (of: Uint32Array, corners: number, error: number) =>
    simplifier.simplify(of, positions, 3, corners, error * viewRadius, ["ErrorAbsolute", "LockBorder"])[0];
  const free = fewer(indices, 0, least);
  const corners = 3 * Math.floor(triangles);
  const kept = free.length > corners ? fewer(free, corners, most) : free;
  if (kept.length === 0 || kept.length >= indices.length) return surface;
  const { numbers, wanted } = compactRows(kept, positions.length / 3);
  return {
    positions: gather({ values: positions, width: 3 }, wanted),
    normals: gather({ values: normals, width: 3 }, wanted),
    uvs: uvs && gather({ values: uvs, width: 2 }, wanted),
    indices: numbers,
  };
}
