import {
  Color,
  Mesh,
  MeshBasicMaterial,
  PerspectiveCamera,
  type Raycaster,
  SphereGeometry,
  Vector2,
  Vector3,
} from "three";
import { describe, expect, it } from "vitest";
import { arrowLength } from "./contacts";
import { snapToShadow } from "./lighting";
import { notDarker } from "./materials";
import type { Part } from "./parts";
import { hitAt, hitByFinger, onPlane } from "./pulling";
import { fitting, recordingFormat, tilesFor } from "./recording";
import { isSameView, offsetOf, viewOf } from "./view";

describe("onPlane", () => {
  it("given a slanted ray, when it meets the plane, then the point is as far before the camera as the one seized", () => {
    const origin = new Vector3(1, 2, 3);
    const facing = new Vector3(0, 1, 0);
    const direction = new Vector3(0.6, 0.8, 0);

    const met = onPlane(origin, direction, facing, 4, new Vector3());

    expect(met.clone().sub(origin).dot(facing)).toBeCloseTo(4, 9);
    expect(met.toArray()).toEqual([expect.closeTo(4, 9), expect.closeTo(6, 9), 3]);
  });
});

describe("hitByFinger", () => {
  const camera = new PerspectiveCamera(50, 1, 0.1, 100);
  camera.position.z = 5;
  camera.updateMatrixWorld();
  const tip = new Vector2(0.1, 0.1);
  const ball = (x: number, grabbable = true): Part => {
    const mesh = new Mesh(new SphereGeometry(0.05), new MeshBasicMaterial());
    mesh.position.x = x;
    mesh.updateMatrixWorld();
    return { mesh, grabbable, meet: (ray: Raycaster) => ray.intersectObject(mesh)[0] } as unknown as Part;
  };

  it("given a part thinner than a finger, when it is touched beside its middle, then it is held all the same", () => {
    const [thin, touch] = [ball(0), new Vector2(0.09, 0)];

    expect(hitAt(touch, camera, [thin])).toBeUndefined();
    expect(hitByFinger(touch, tip, camera, [thin])?.part).toBe(thin);
    expect(hitByFinger(new Vector2(0.3, 0), tip, camera, [thin])).toBeUndefined();
  });

  it("given two parts under a fingertip, when one is under its middle, then that one is held", () => {
    const [middle, beside] = [ball(0), ball(0.12)];

    expect(hitByFinger(new Vector2(0, 0), tip, camera, [beside, middle])?.part).toBe(middle);
    expect(hitByFinger(new Vector2(0, 0), tip, camera, [ball(0, false)])).toBeUndefined();
  });
});

describe("arrowLength", () => {
  it("given a force, when it is drawn, then its arrow grows with its part of the weight, up to a limit", () => {
    expect(arrowLength(50, 100, 0.5)).toBeCloseTo(2 * arrowLength(25, 100, 0.5), 9);
    expect(arrowLength(1e6, 100, 0.5)).toBe(arrowLength(1e5, 100, 0.5));
    expect(arrowLength(0.5, 100, 0.5)).toBe(0);
  });

  it("given robots of other sizes, when each stands on one foot, then the arrows look alike", () => {
    expect(arrowLength(10, 10, 0.1) / 0.1).toBeCloseTo(arrowLength(700, 700, 2) / 2, 9);
  });
});

describe("view", () => {
  it("given a view, when it is taken to a robot of another size and back, then it is the same", () => {
    const view = { azimuth: -2.1, polar: 1.2, distance: 0.8 };
    const offset = new Vector3();
    offsetOf(view, 6, offset);

    expect(offset.length()).toBeCloseTo(4.8, 6);
    expect(isSameView(viewOf(offset, 6), view)).toBe(true);
    expect(isSameView(viewOf(offset, 5), view)).toBe(false);
  });

  it("given a full turn, when views are compared, then nothing has changed", () => {
    const view = { azimuth: Math.PI, polar: 1, distance: 1 };
    expect(isSameView(view, { ...view, azimuth: -Math.PI })).toBe(true);
  });
});

describe("snapToShadow", () => {
  it("given a sun that moves by less than a pixel of the shadow, when it is snapped, then it stays, and is never far off", () => {
    const before = snapToShadow([1, 1, 0], 0.1, new Vector3());
    const after = snapToShadow([1.0001, 1, 0], 0.1, new Vector3());

    expect(after.distanceTo(before)).toBeLessThan(0.001);
    for (let x = 0; x < 1; x += 0.013) {
      expect(snapToShadow([x, 0, 0], 0.1, new Vector3()).distanceTo(new Vector3(x, 0, 0))).toBeLessThan(0.0708);
    }
  });
});

describe("recording", () => {
  it("given pictures of several sizes, when they are put side by side, then they are equally high and fit a screen", () => {
    const tiles = tilesFor([
      { width: 1000, height: 800 },
      { width: 500, height: 400 },
      { width: 601, height: 400 },
    ]);

    expect(new Set(tiles.map(({ height }) => height)).size).toBe(1);
    expect(tiles.map(({ x }) => x)).toEqual([0, tiles[0]?.width, (tiles[0]?.width ?? 0) + (tiles[1]?.width ?? 0)]);
    expect(tiles.reduce((sum, { width }) => sum + width, 0)).toBeLessThanOrEqual(1924);
    for (const { width, height } of tiles) expect([width % 2, height % 2]).toEqual([0, 0]);
  });

  it("given a label, when it is wider than its picture, then it is cut with an ellipsis, or left out", () => {
    const fits = (most: number) => (text: string) => text.length <= most;
    expect(fitting("A · 1.2M steps", fits(20))).toBe("A · 1.2M steps");
    expect(fitting("A · 1.2M steps", fits(10))).toBe("A · 1.2M…");
    expect(fitting("A · 1.2M steps", fits(0))).toBe("");
  });

  it("given what a browser can write, when a format is chosen, then it is the best of them, or none", () => {
    expect(recordingFormat((format) => !format.includes("vp9"))).toBe("video/webm;codecs=vp8");
    expect(recordingFormat(() => false)).toBeUndefined();
    expect(recordingFormat(undefined)).toBeUndefined();
  });
});

describe("notDarker", () => {
  it("given a black robot, when it stands on a dark stage, then it is lightened, and a light one stays as it is", () => {
    expect(notDarker(new Color(0, 0, 0), 0.06).r).toBeCloseTo(0.06, 9);
    expect(notDarker(new Color(0.4, 0.5, 0.6), 0.06).toArray()).toEqual([0.4, 0.5, 0.6]);
    expect(notDarker(new Color(0, 0, 0), 0).toArray()).toEqual([0, 0, 0]);
  });
});
