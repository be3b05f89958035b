import { describe, expect, it } from "vitest";
import { blend, SnapshotRing } from "./snapshotRing";

const layout = { geoms: 1, sites: 0, segments: 0 };

/** One geom at x, unrotated, and the focus with it. */
function poses(x: number): Float32Array<ArrayBuffer> {
  return Float32Array.of(x, 0, 0, 0, 0, 0, 1, x, 0, 0);
}

function ring() {
  const given: number[] = [];
  return { ring: new SnapshotRing(layout, ({ 0: x }) => given.push(x ?? Number.NaN)), given };
}

describe("SnapshotRing", () => {
  it("blends between the snapshots around the moment that it shows", () => {
    const { ring: kept } = ring();
    kept.push({ poses: poses(0), dueMs: 0, episode: 1 });
    kept.push({ poses: poses(1), dueMs: 20, episode: 1 });

    const shown = kept.at(40);

    expect(shown?.settled).toBe(false);
    expect(shown?.poses[0]).toBeCloseTo(0.5, 2);
  });

  it("comes to rest on the last snapshot", () => {
    const { ring: kept } = ring();
    kept.push({ poses: poses(0), dueMs: 0, episode: 1 });
    kept.push({ poses: poses(1), dueMs: 20, episode: 1 });

    expect(kept.at(1000)).toEqual({ poses: poses(1), settled: true });
  });

  it("does not glide from one episode into the next", () => {
    const { ring: kept } = ring();
    kept.push({ poses: poses(0), dueMs: 0, episode: 1 });
    kept.push({ poses: poses(9), dueMs: 20, episode: 2 });

    expect(kept.at(40)?.poses[0]).toBe(0);
    expect(kept.at(60)?.poses[0]).toBe(9);
  });

  it("gives each buffer back once", () => {
    const { ring: kept, given } = ring();
    for (let i = 0; i < 5; i += 1) kept.push({ poses: poses(i), dueMs: 20 * i, episode: 1 });
    expect(given).toEqual([0, 1]);

    kept.clear();
    expect(given).toEqual([0, 1, 2, 3, 4]);
    expect(kept.at(0)).toBeUndefined();
  });
});

describe("blend", () => {
  it("turns along the shorter arc and keeps rotations of length 1", () => {
    const from = Float32Array.of(0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
    const half = Math.SQRT1_2;
    const to = Float32Array.of(0, 0, 0, 0, 0, -half, -half, 0, 0, 0);
    const out = new Float32Array(10);

    blend(from, to, 0.5, layout, out);

    const angle = 2 * Math.atan2(out[5] ?? 0, out[6] ?? 0);
    expect(angle).toBeCloseTo(Math.PI / 4, 5);
    expect(Math.hypot(...out.subarray(3, 7))).toBeCloseTo(1, 6);
  });
});
