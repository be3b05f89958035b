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

/** What the ground may take of a scene's triangles; the robot gets the rest. */
const share = 0.4;
/** About so much of the ground is in view at once; what is not costs nothing. */
const inView = 0.25;
/** Feet that stand on the ground are seen to stand on it, so it is kept nearer than its budget would have it. */
const errors = { fine: [0.0003, 0.002], simple: [0.0007, 0.02] } as const;
/** Cells along a tile's side at least, and tiles along a grid's side at most. */
const [tileCells, mostTiles] = [32, 8];

/**
 * Cuts the height fields of a scene into tiles, so that only those in view need be drawn, and simplifies each: as few triangles
 * as keep the ground where it was, and no more than their share where that can be had. The normals stay those of the whole grid,
 * so that the ground is shaded as before, and borders stay in place, so that tiles meet.
 */
export function terrainForms(
  grids: readonly Grid[],
  viewRadius: number,
  simplifier: Simplifier | undefined,
): SurfaceForms[][] {
  return grids.map((grid) => {
    const tiles = tilesOf(grid);
    const most = (level: Level) => (share * level.triangles) / (inView * grids.length * tiles.length);
    return tiles.map((tile) => {
      const whole = tileSurface(grid, tile);
      if (!simplifier) return { fine: whole, simple: whole };
      const fine = simplified(simplifier, whole, most(fineLevel), errors.fine, viewRadius);
      return { fine, simple: simplified(simplifier, fine, most(simpleLevel), errors.simple, viewRadius) };
    });
  });
}

/** Rows and columns of a grid, the last ones included. */
export interface Tile {
  readonly rows: readonly [first: number, last: number];
  readonly columns: readonly [first: number, last: number];
}

/** Cuts a grid; neighbours share the row or column between them. */
export function tilesOf({ rows, columns }: Pick<Grid, "rows" | "columns">): Tile[] {
  const cuts = (cells: number) => {
    const side = Math.max(tileCells, Math.ceil(cells / mostTiles));
    const count = Math.max(1, Math.ceil(cells / side));
    return Array.from({ length: count }, (_, i): [number, number] => [i * side, Math.min(cells, (i + 1) * side)]);
  };
  return cuts(rows - 1).flatMap((ofRows) =>
    cuts(columns - 1).map((ofColumns) => ({ rows: ofRows, columns: ofColumns })),
  );
}

/** A tile with two triangles a cell, shaded smooth. */
export function tileSurface(grid: Grid, tile: Tile): Triangles {
  const { rows, columns, size, heights } = grid;
  const [halfWidth, halfDepth, top] = size;
  const [[firstRow, lastRow], [firstColumn, lastColumn]] = [tile.rows, tile.columns];
  const [high, wide] = [lastRow - firstRow + 1, lastColumn - firstColumn + 1];
  const [positions, normals] = [new Float32Array(3 * high * wide), new Float32Array(3 * high * wide)];
  const uvs = new Float32Array(2 * high * wide);
  const [stepX, stepY] = [(2 * halfWidth) / (columns - 1), (2 * halfDepth) / (rows - 1)];
  const height = (row: number, column: number) => top * (heights[row * columns + column] ?? 0);
  let at = 0;
  for (let row = firstRow; row <= lastRow; row += 1) {
    const [before, after] = [Math.max(0, row - 1), Math.min(rows - 1, row + 1)];
    for (let column = firstColumn; column <= lastColumn; column += 1) {
      const [left, right] = [Math.max(0, column - 1), Math.min(columns - 1, column + 1)];
      positions.set([column * stepX - halfWidth, row * stepY - halfDepth, height(row, column)], 3 * at);
      const x = (height(row, left) - height(row, right)) / ((right - left) * stepX);
      const y = (height(before, column) - height(after, column)) / ((after - before) * stepY);
      const length = Math.hypot(x, y, 1);
      normals.set([x / length, y / length, 1 / length], 3 * at);
      uvs.set([column / (columns - 1), row / (rows - 1)], 2 * at);
      at += 1;
    }
  }
  return { positions, normals, uvs, indices: gridIndices(high, wide) };
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
