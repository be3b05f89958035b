/** How a person looks at the robot, whatever its size and wherever it is: several stages can show the same view. */
export interface View {
  /** Angle about the upright axis, from the first axis of the world, in radians. */
  readonly azimuth: number;
  /** Angle from straight above, in radians. */
  readonly polar: number;
  /** Distance, in parts of the one at which the whole robot is in view. */
  readonly distance: number;
}

interface Offset {
  x: number;
  y: number;
  z: number;
}

/** The view from a place, given as its offset from what is looked at; `fitting` is the distance at which everything is in view. */
export function viewOf({ x, y, z }: Readonly<Offset>, fitting: number): View {
  const length = Math.hypot(x, y, z) || 1;
  return { azimuth: Math.atan2(y, x), polar: Math.acos(z / length), distance: length / fitting };
}

/** Writes the offset of the place that a view is seen from. */
export function offsetOf({ azimuth, polar, distance }: View, fitting: number, out: Offset): void {
  const length = distance * fitting;
  out.x = length * Math.sin(polar) * Math.cos(azimuth);
  out.y = length * Math.sin(polar) * Math.sin(azimuth);
  out.z = length * Math.cos(polar);
}

/** Whether two views are the same to the eye. */
export function isSameView(a: View, b: View): boolean {
  const turn = Math.abs(Math.atan2(Math.sin(a.azimuth - b.azimuth), Math.cos(a.azimuth - b.azimuth)));
  return turn < 1e-4 && Math.abs(a.polar - b.polar) < 1e-4 && Math.abs(a.distance - b.distance) < 1e-4 * b.distance;
}
