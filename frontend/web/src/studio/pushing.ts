import type { JointSpec } from "../player";

/** Where a push drives the robot, as it sees it. */
export type PushWay = "forwards" | "backwards" | "left" | "right";

export const LIGHTEST_PUSH = 0.2;
export const STRONGEST_PUSH = 3;
export const USUAL_PUSH = 1;

const TURNS: Readonly<Record<PushWay, number>> = {
  forwards: 0,
  left: Math.PI / 2,
  backwards: Math.PI,
  right: -Math.PI / 2,
};
/** A free joint takes the first seven numbers of `qpos`. */
const FREE_ROOT_LENGTH = 7;

/** Direction of a push in the world. */
export function pushDirection(way: PushWay, headingRad: number): readonly [number, number, number] {
  const angle = headingRad + TURNS[way];
  return [exact(Math.cos(angle)), exact(Math.sin(angle)), 0];
}

/** Where a robot that moves freely looks, as an angle about the vertical; 0, along the world's x, for one that does not. */
export function headingOf(qpos: ArrayLike<number>, joints: readonly JointSpec[]): number {
  const first = Math.min(...joints.map(({ qposIndex }) => qposIndex));
  if (first < FREE_ROOT_LENGTH || qpos.length < FREE_ROOT_LENGTH) return 0;
  const [w = 1, x = 0, y = 0, z = 0] = Array.from(qpos).slice(3, FREE_ROOT_LENGTH);
  return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
}

/** Without the last digits that sine and cosine leave where there should be none. */
function exact(value: number): number {
  return Math.round(value * 1e9) / 1e9 || 0;
}
