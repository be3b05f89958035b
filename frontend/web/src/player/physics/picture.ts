import type { TextureData } from "../sceneDescription";

/** A robot's picture on screen is hardly wider; larger ones cost a graphics card four times as much and look the same. */
const mostPixels = 1024;

/**
 * A picture as graphics cards want it, four bytes a pixel: grey is spread over the colours, and what has no opacity is opaque.
 * Large ones are made smaller by whole factors, each pixel the mean of those it stands for.
 */
export function pictureOf(pixels: Uint8Array, width: number, height: number, channels: number): TextureData {
  const factor = Math.max(1, Math.ceil(Math.max(width, height) / mostPixels));
  const [columns, rows] = [Math.max(1, Math.floor(width / factor)), Math.max(1, Math.floor(height / factor))];
  const [across, down] = [Math.min(factor, width), Math.min(factor, height)];
  const rgba = new Uint8Array(4 * columns * rows).fill(255);
  const sources = [0, 1, 2, 3].slice(0, channels === 4 ? 4 : 3).map((k) => Math.min(k, channels - 1));
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const at = row * factor * width + column * factor;
      for (const [k, source] of sources.entries()) {
        let sum = 0;
        for (let y = 0; y < down; y += 1) {
          for (let x = 0; x < across; x += 1) sum += pixels[(at + y * width + x) * channels + source] ?? 0;
        }
        rgba[4 * (row * columns + column) + k] = Math.round(sum / (across * down));
      }
    }
  }
  return { width: columns, height: rows, rgba };
}
