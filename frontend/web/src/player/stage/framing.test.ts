import { describe, expect, it } from "vitest";
import { followStep, viewDirection } from "./framing";
import { roundLength } from "./ground";
import { Quality } from "./quality";

describe("viewDirection", () => {
  it("looks a little down from a level camera and keeps its side", () => {
    const [x, y, z] = viewDirection([0, 1, 0]);

    expect(Math.hypot(x, y, z)).toBeCloseTo(1, 6);
    expect(y).toBeGreaterThan(0.8);
    expect(z).toBeLessThan(-0.1);
  });

  it("tilts a camera that looks straight down", () => {
    const [x, y, z] = viewDirection([0, 0, -1]);

    expect(Math.hypot(x, y)).toBeGreaterThan(0.4);
    expect(z).toBeLessThan(-0.7);
  });
});

describe("followStep", () => {
  function follow(from: number[], wanted: [number, number, number], frames = 1): number[] {
    const target = [from[0], from[1], from[2]] as [number, number, number];
    for (let i = 0; i < frames; i += 1) followStep(target, wanted, 1, 0.016);
    return target;
  }

  it("stays while the robot moves within the dead band", () => {
    expect(follow([0, 0, 1], [0.1, 0, 1.2])).toEqual([0, 0, 1]);
  });

  it("comes after a robot that walks away, and keeps the band's distance", () => {
    expect(follow([0, 0, 0], [1.5, 0, 0], 600)[0]).toBeCloseTo(1.35, 2);
  });

  it.each([0.016, 0.1, 0.5])(
    "given a robot that runs four radii a second, when a frame comes every %f s, then it stays in the picture",
    (frameSecs) => {
      const target: [number, number, number] = [0, 0, 0];
      for (let secs = 0; secs < 6; secs += frameSecs) {
        const x = 4 * secs;
        followStep(target, [x, 0, 0], 1, frameSecs);
        expect(x - target[0]).toBeLessThan(0.51);
      }
    },
  );

  it("given the same time, when it passes in one frame or in many, then the view comes about as far", () => {
    const [once, often] = [
      [0, 0, 0],
      [0, 0, 0],
    ] as [[number, number, number], [number, number, number]];
    followStep(once, [0.4, 0, 0], 1, 0.48);
    for (let i = 0; i < 30; i += 1) followStep(often, [0.4, 0, 0], 1, 0.016);

    expect(once[0]).toBeCloseTo(often[0], 6);
    expect(once[0]).toBeGreaterThan(0.2);
  });

  it("jumps with the robot from one episode to the next", () => {
    expect(follow([40, 0, 0], [0, 0, 0])).toEqual([0, 0, 0]);
  });
});

describe("roundLength", () => {
  it.each([
    [0.9, 1],
    [0.17, 0.2],
    [3.2, 2],
    [4.1, 5],
    [80, 100],
  ])("rounds %f to %f", (length, expected) => {
    expect(roundLength(length)).toBeCloseTo(expected, 9);
  });
});

describe("Quality", () => {
  it("lowers the resolution where drawing stays slow, step by step, and no further than the last step", () => {
    const quality = new Quality(2);
    const seen = new Set([quality.pixelRatio]);
    for (let i = 0; i < 500; i += 1) {
      quality.frameTook(100);
      seen.add(quality.pixelRatio);
    }

    expect([...seen]).toEqual([2, 1, 0.75, 0.55]);
    expect(quality.shadowPixels).toBe(256);
  });

  it("forgives single slow frames and hidden tabs", () => {
    const quality = new Quality(1);
    for (let i = 0; i < 500; i += 1) quality.frameTook(i % 10 === 0 ? 100 : 16);
    for (let i = 0; i < 50; i += 1) quality.frameTook(30_000);

    expect(quality.pixelRatio).toBe(1);
  });

  it("counts no time in which nothing moved: single steps, now and then, cost no detail", () => {
    const quality = new Quality(2);
    for (let step = 0; step < 100; step += 1) {
      quality.frameTook(800, true);
      quality.frameTook(16, false);
    }

    expect(quality.pixelRatio).toBe(2);
  });
});

describe("Quality without a graphics card", () => {
  it("given drawing by the processor, when it begins, then it begins with a small picture", () => {
    expect(new Quality(2, 2).pixelRatio).toBe(0.55);
    expect(new Quality(2, 16).pixelRatio).toBe(0.75);
    expect(new Quality(1).pixelRatio).toBe(1);
  });

  it("given very slow frames, when three have come, then the least picture is drawn", () => {
    const quality = new Quality(1);
    const changed = [300, 2000, 900].map((ms) => quality.frameTook(ms));

    expect(changed).toEqual([false, false, true]);
    expect(quality.pixelRatio).toBe(0.55);
  });
});

describe("Quality of meshes", () => {
  function affordsAfter(frames: readonly (readonly [count: number, ms: number])[]): boolean {
    const quality = new Quality(1);
    for (const [count, ms] of frames) for (let i = 0; i < count; i += 1) quality.frameTook(ms);
    return quality.affordsDetail;
  }

  it("given frames at the screen's rate, when they have come for a while, then meshes may be drawn in full detail", () => {
    expect(affordsAfter([[30, 16.7]])).toBe(false);
    expect(affordsAfter([[100, 16.7]])).toBe(true);
  });

  it("given that full detail was too much, when frames are quick again, then it is not tried again", () => {
    expect(
      affordsAfter([
        [100, 16.7],
        [40, 33],
        [500, 16.7],
      ]),
    ).toBe(false);
  });
});
