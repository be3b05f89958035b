import { beforeAll, describe, expect, it } from "vitest";
import type { SurfaceForms, Triangles } from "../sceneDescription";
import { type Simplifier, startedSimplifier, startSimplifier } from "./simplifier";
import { type Grid, terrainForms, tileSurface, tilesOf } from "./terrain";

let simplifier: Simplifier;

beforeAll(async () => {
  await startSimplifier();
  const started = startedSimplifier();
  if (!started) throw new Error("meshoptimizer did not start");
  simplifier = started;
});

/** A field of 20 by 10 metres, up to 0.2 metres high. */
function field(side: number, height: (x: number, y: number) => number): Grid {
  const heights = Float32Array.from({ length: side * side }, (_, i) =>
    height((i % side) / (side - 1), Math.floor(i / side) / (side - 1)),
  );
  return { rows: side, columns: side, size: [10, 5, 0.2, 0.1], heights };
}

const hills = field(200, (x, y) => 0.5 + 0.25 * (Math.sin(9 * x) + Math.cos(7 * y)));

describe("tileSurface", () => {
  it("given a slope along x, when it is made, then it rises along x, faces up and leans against the slope", () => {
    const { positions, normals, uvs, indices } = tileSurface(
      field(3, (x) => x),
      { rows: [0, 2], columns: [0, 2] },
    );

    expect([...positions.subarray(0, 3)]).toEqual([-10, -5, 0]);
    expect([...positions.subarray(24)]).toEqual([10, 5, expect.closeTo(0.2, 6)]);
    expect([...(uvs ?? []).slice(-2)]).toEqual([1, 1]);
    const length = Math.hypot(0.01, 1);
    expect([...normals.subarray(12, 15)]).toEqual([
      expect.closeTo(-0.01 / length, 6),
      expect.closeTo(0, 6),
      expect.closeTo(1 / length, 6),
    ]);
    expect(indices.length).toBe(3 * 8);
  });
});

describe("tilesOf", () => {
  it("given a large grid, when it is cut, then the tiles cover it, meet, and are no more than 64", () => {
    const tiles = tilesOf({ rows: 1001, columns: 41 });
    const columns = new Set(tiles.map((tile) => tile.columns.join()));
    const rows = [...new Set(tiles.map((tile) => tile.rows.join()))].map((row) => row.split(",").map(Number));

    expect(columns).toEqual(new Set(["0,32", "32,40"]));
    expect(rows[0]?.[0]).toBe(0);
    expect(rows.at(-1)?.[1]).toBe(1000);
    for (const [i, row] of rows.entries()) if (i > 0) expect(row[0]).toBe(rows[i - 1]?.[1]);
    expect(rows.length).toBe(8);
  });
});

describe("terrainForms", () => {
  const triangles = (tiles: SurfaceForms[] | undefined, of: (forms: SurfaceForms) => Triangles) =>
    (tiles ?? []).reduce((sum, tile) => sum + of(tile).indices.length / 3, 0);

  it("given hills, when they are simplified, then a fraction is left and no place is further off than the error", () => {
    const viewRadius = 1;
    const [tiles] = terrainForms([hills], viewRadius, simplifier);

    expect(triangles(tiles, ({ simple }) => simple)).toBeLessThan(0.2 * 2 * 199 * 199);
    expect(triangles(tiles, ({ fine }) => fine)).toBeGreaterThan(triangles(tiles, ({ simple }) => simple));
    for (const { simple } of tiles ?? []) {
      for (let at = 0; at < simple.indices.length; at += 3) {
        // The middle of a triangle is where it may be furthest from the ground.
        const corners = [...simple.indices.subarray(at, at + 3)];
        const middle = (axis: number) => corners.reduce((sum, i) => sum + (simple.positions[3 * i + axis] ?? 0), 0) / 3;
        const there =
          0.2 * (0.5 + 0.25 * (Math.sin((9 * (middle(0) + 10)) / 20) + Math.cos((7 * (middle(1) + 5)) / 10)));
        expect(Math.abs(middle(2) - there)).toBeLessThan(0.02 * viewRadius);
      }
    }
  });

  it("given tiles that are neighbours, when they are simplified, then their common border is the same in both", () => {
    const [tiles] = terrainForms([hills], 1, simplifier);
    const along = (forms: SurfaceForms | undefined, x: number) => {
      const { positions } = forms?.simple ?? { positions: new Float32Array() };
      const points = Array.from({ length: positions.length / 3 }, (_, i) => [...positions.subarray(3 * i, 3 * i + 3)]);
      return points.filter((point) => Math.abs((point[0] ?? 0) - x) < 1e-5).sort((a, b) => (a[1] ?? 0) - (b[1] ?? 0));
    };
    const border = 32 * (20 / 199) - 10;

    expect(along(tiles?.[0], border)).toHaveLength(33);
    expect(along(tiles?.[1], border)).toEqual(along(tiles?.[0], border));
  });

  it("given ground that is level, when it is simplified, then little more than the borders is left", () => {
    const [tiles] = terrainForms([field(97, () => 0)], 1, simplifier);

    expect(triangles(tiles, ({ simple }) => simple)).toBeLessThan(9 * 4 * 36);
  });

  it("given no simplifier, when ground is described, then it is the whole grid", () => {
    const [tiles] = terrainForms([hills], 1, undefined);

    expect(triangles(tiles, ({ simple }) => simple)).toBe(2 * 199 * 199);
  });
});
