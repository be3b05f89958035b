import { beforeAll, describe, expect, it } from "vitest";
import type { Triangles } from "../sceneDescription";
import { detailLevels, simpleLevel } from "./levels";
import { withCreasedNormals } from "./normals";
import { faithful, type MeshSource, type Simplifier, startedSimplifier, startSimplifier } from "./simplifier";
import { weld } from "./weld";

let simplifier: Simplifier;

beforeAll(async () => {
  await startSimplifier();
  const started = startedSimplifier();
  if (!started) throw new Error("meshoptimizer did not start");
  simplifier = started;
});

/** A closed box of side 2 whose sides are grids of `cells` by `cells`, each side with its own vertices, as files often have them. */
function box(cells: number, textured = false): MeshSource {
  const [positions, normals, uvs]: [number[], number[], number[]] = [[], [], []];
  const faces: number[] = [];
  for (const axis of [0, 1, 2]) {
    for (const side of [-1, 1]) {
      const first = positions.length / 3;
      for (let row = 0; row <= cells; row += 1) {
        for (let column = 0; column <= cells; column += 1) {
          const point = [0, 0, 0];
          point[axis] = side;
          point[(axis + 1) % 3] = side * ((2 * column) / cells - 1);
          point[(axis + 2) % 3] = (2 * row) / cells - 1;
          positions.push(...point);
          normals.push(...[0, 1, 2].map((k) => (k === axis ? side : 0)));
          uvs.push(column / cells, row / cells);
        }
      }
      for (let row = 0; row < cells; row += 1) {
        for (let column = 0; column < cells; column += 1) {
          const at = first + row * (cells + 1) + column;
          faces.push(at, at + 1, at + cells + 2, at, at + cells + 2, at + cells + 1);
        }
      }
    }
  }
  const corners = Int32Array.from(faces);
  return {
    positions: Float32Array.from(positions),
    faces: corners,
    normals: Float32Array.from(normals),
    faceNormals: corners,
    uvs: textured ? Float32Array.from(uvs) : undefined,
    faceUvs: textured ? corners : undefined,
  };
}

const count = ({ indices }: Triangles): number => indices.length / 3;

function extents({ positions }: Triangles): number[] {
  return [0, 1, 2].map((axis) => Math.max(...positions.filter((_, i) => i % 3 === axis)));
}

describe("weld", () => {
  it("given equal rows, when they are welded, then each value is kept once and every row finds its own", () => {
    const values = Float32Array.of(1, 2, 3, 4, 1, 2, 3, 5);
    const { numbers, firsts } = weld(4, [{ values, width: 2 }]);

    expect(Array.from(firsts)).toEqual([0, 1, 3]);
    expect(Array.from(numbers)).toEqual([0, 1, 0, 2]);
  });

  it("given rows that differ in one column only, when they are welded, then they stay apart", () => {
    const same = { values: Float32Array.of(0, 0), width: 1 };
    const other = { values: Float32Array.of(7, 8), width: 1 };

    expect(weld(2, [same, other]).firsts.length).toBe(2);
    expect(weld(2, [same]).firsts.length).toBe(1);
  });
});

describe("faithful", () => {
  it("given a mesh with separate indices, when it is welded, then a corner of the box keeps one vertex for each side", () => {
    expect(faithful(box(1)).positions.length / 3).toBe(24);
    expect(count(faithful(box(1)))).toBe(12);
  });
});

describe("withCreasedNormals", () => {
  it("given a box with shared vertices, when it is shaded, then its edges are sharp and its sides flat", () => {
    const source = box(1);
    const { numbers, firsts } = weld(source.positions.length / 3, [{ values: source.positions, width: 3 }]);
    const positions = Float32Array.from(
      Array.from(firsts).flatMap((i) => Array.from(source.positions.subarray(3 * i, 3 * i + 3))),
    );
    const shaded = withCreasedNormals(
      positions,
      undefined,
      Uint32Array.from(source.faces, (i) => numbers[i] ?? 0),
    );

    expect(positions.length / 3).toBe(8);
    expect(shaded.positions.length / 3).toBe(24);
    for (let i = 0; i < shaded.normals.length; i += 3) {
      const along = Array.from(shaded.normals.subarray(i, i + 3), Math.abs).sort();
      expect(along).toEqual([0, 0, 1]);
    }
  });
});

describe("detailLevels", () => {
  it("given few triangles, when levels are made, then the mesh stays as it is", () => {
    const source = box(4);
    const [mesh] = detailLevels([{ source, reach: 2, times: 1 }], 2, simplifier);

    expect(count(mesh?.simple ?? faithful(source))).toBe(source.faces.length / 3);
    expect(mesh?.simple).toBe(mesh?.fine);
  });

  it("given a box of far too many triangles, when it is simplified, then it keeps its extents, its edges and the budget", () => {
    const source = box(80);
    const [mesh] = detailLevels([{ source, reach: 2, times: 1 }], 2, simplifier);

    expect(source.faces.length / 3).toBeGreaterThan(simpleLevel.triangles);
    expect(count(mesh?.simple ?? faithful(source))).toBeLessThan(1000);
    for (const extent of extents(mesh?.simple ?? faithful(source))) expect(extent).toBeCloseTo(1, 5);
  });

  it("given a mesh that is drawn many times, when levels are made, then each time counts", () => {
    const source = box(30);
    const once = detailLevels([{ source, reach: 2, times: 1 }], 2, simplifier)[0];
    const often = detailLevels([{ source, reach: 2, times: 10 }], 2, simplifier)[0];

    expect(10 * (source.faces.length / 3)).toBeGreaterThan(simpleLevel.triangles);
    expect(count(once?.simple ?? faithful(source))).toBe(source.faces.length / 3);
    expect(10 * count(often?.simple ?? faithful(source))).toBeLessThanOrEqual(simpleLevel.triangles);
  });

  it("given a textured mesh, when it is simplified, then the texture stays where it was", () => {
    const source = box(80, true);
    const simple = detailLevels([{ source, reach: 2, times: 1 }], 2, simplifier)[0]?.simple;

    expect(simple?.uvs?.length).toBe(((simple?.positions.length ?? 0) / 3) * 2);
    expect(count(simple ?? faithful(source))).toBeLessThan(source.faces.length / 6);
    // On the side where the first axis is 1 the texture runs with the second and third.
    for (let i = 0; i < (simple?.positions.length ?? 0) / 3; i += 1) {
      const [x = 0, y = 0, z = 0] = simple?.positions.subarray(3 * i, 3 * i + 3) ?? [];
      const [nx = 0] = simple?.normals.subarray(3 * i, 3 * i + 1) ?? [];
      if (x !== 1 || nx < 0.99) continue;
      expect(simple?.uvs?.[2 * i]).toBeCloseTo((y + 1) / 2, 4);
      expect(simple?.uvs?.[2 * i + 1]).toBeCloseTo((z + 1) / 2, 4);
    }
  });

  it("given a mesh that nothing shows, or no simplifier, when levels are made, then it is empty, or as it is", () => {
    const source = box(80);

    expect(detailLevels([{ source, reach: 2, times: 0 }], 2, simplifier)[0]?.fine.indices.length).toBe(0);
    expect(detailLevels([{ source, reach: 2, times: 1 }], 2, undefined)[0]?.simple.indices.length).toBe(
      source.faces.length,
    );
  });
});
