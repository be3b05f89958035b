import { describe, expect, it } from "vitest";
import { pictureOf } from "./picture";

describe("pictureOf", () => {
  it("given grey, colours or colours with opacity, when a small picture is read, then its pixels stay as they are", () => {
    expect([...pictureOf(Uint8Array.of(7, 9), 2, 1, 1).rgba]).toEqual([7, 7, 7, 255, 9, 9, 9, 255]);
    expect([...pictureOf(Uint8Array.of(1, 2, 3), 1, 1, 3).rgba]).toEqual([1, 2, 3, 255]);
    expect([...pictureOf(Uint8Array.of(1, 2, 3, 4), 1, 1, 4).rgba]).toEqual([1, 2, 3, 4]);
  });

  it("given a picture that is too large, when it is read, then each pixel is the mean of those it stands for", () => {
    const [width, height] = [2048, 2];
    const pixels = new Uint8Array(width * height * 3);
    // The last block of two by two: 10 and 20 above, 30 and 60 below, in its green.
    for (const [value, x, y] of [
      [10, 2046, 0],
      [20, 2047, 0],
      [30, 2046, 1],
      [60, 2047, 1],
    ] as const) {
      pixels[3 * (y * width + x) + 1] = value;
    }

    const picture = pictureOf(pixels, width, height, 3);

    expect([picture.width, picture.height]).toEqual([1024, 1]);
    expect([...picture.rgba.slice(-4)]).toEqual([0, 30, 0, 255]);
    expect(picture.rgba[1]).toBe(0);
  });
});
