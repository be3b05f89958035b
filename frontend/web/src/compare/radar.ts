/** A point of a drawing, with y downwards. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where a share of 0 to 1 lies on one of so many axes around the origin, the first upwards and the others clockwise. */
export function radarPoint(axis: number, axes: number, share: number, radius: number): Point {
  const angle = (2 * Math.PI * axis) / axes;
  const length = radius * Math.min(1, Math.max(0, share));
  return { x: length * Math.sin(angle), y: -length * Math.cos(angle) };
}

/** The `points` of a polygon through one share on each axis. A share that is not known lies in the middle. */
export function radarPolygon(shares: readonly (number | undefined)[], radius: number): string {
  return shares
    .map((share, axis) => {
      const { x, y } = radarPoint(axis, shares.length, share ?? 0, radius);
      return `${rounded(x)},${rounded(y)}`;
    })
    .join(" ");
}

/** How the text beside the end of an axis is set, so that it grows away from the drawing. */
export function radarAnchor(axis: number, axes: number): "start" | "middle" | "end" {
  const { x } = radarPoint(axis, axes, 1, 1);
  return Math.abs(x) < 0.15 ? "middle" : x > 0 ? "start" : "end";
}

function rounded(value: number): number {
  const tenths = Math.round(value * 10) / 10;
  return tenths === 0 ? 0 : tenths;
}
