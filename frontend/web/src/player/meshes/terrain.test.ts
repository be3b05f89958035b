import { beforeAll, describe, expect, it } from "vitest";
import { simpleLevel } from "./levels";
import { type Simplifier, startedSimplifier, startSimplifier } from "./simplifier";
import { type Grid, gridSurface, terrainForms } from "./terrain";

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

describe("gridSurface", () => {
  it("given a slope along x, when it is made, then it rises along x, faces up and leans against the slope", () => {
    const { positions, normals, uvs, indices } = gridSurface(field(3, (x) => x));

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

describe("terrainForms", () => {
  it("given hills, when they are simplified, then no place is further off than the error, and the share is kept", () => {
    const viewRadius = 1;
    const [forms] = terrainForms([hills], viewRadius, simplifier);
    if (!forms) throw new Error("no terrain");
    const { fine, simple } = forms;

    expect(simple.indices.length / 3).toBeLessThan(0.4 * simpleLevel.triangles + 1);
    expect(fine.indices.length).toBeGreaterThanOrEqual(simple.indices.length);
    for (let at = 0; at < simple.positions.length; at += 3) {
      const [x = 0, y = 0, z = 0] = simple.positions.subarray(at, at + 3);
      const there = 0.2 * (0.5 + 0.25 * (Math.sin((9 * (x + 10)) / 20) + Math.cos((7 * (y + 5)) / 10)));
      expect(Math.abs(z - there)).toBeLessThan(0.01 * viewRadius);
    }
  });

  it("given ground that is level, when it is simplified, then only its border is left of its cells", () => {
    const [forms] = terrainForms([field(100, () => 0)], 1, simplifier);

    expect((forms?.simple.indices.length ?? 0) / 3).toBeLessThan(800);
  });

  it("given no simplifier, when ground is described, then it is the whole grid", () => {
    const [forms] = terrainForms([hills], 1, undefined);

    expect(forms?.simple.indices.length).toBe(6 * 199 * 199);
  });
});
