import { type MeshData, type SceneDescription, type Shape, snapshotOffsets } from "../sceneDescription";

export type Point = readonly [number, number, number];

/** What the camera should show: a ball around the robot and what it moves among. */
export interface Framing {
  readonly center: Point;
  readonly radius: number;
  /** Direction in which the camera looks, of length 1. */
  readonly direction: Point;
  /** Where the robot's centre of mass was in this framing. */
  readonly focus: Point;
}

/** The surroundings may widen the view by at most this factor: a long rail or a wide arena must not make the robot tiny. */
const widestView = 2.1;
/** What MuJoCo's viewers show; and marks of where to go, which some scenes keep in a hidden group. */
export const isShown = ({ group, surface }: Shape): boolean =>
  (group <= 2 || surface.material === "target") && surface.rgba[3] > 0.01;

/** What a scene's framing depends on; of a mesh it is only how far it reaches. */
type Framed = Omit<SceneDescription, "meshes" | "heightFields"> & {
  readonly meshes: readonly Pick<MeshData, "reach">[];
};

/** Frames a scene in its reference state. */
export function frameScene(description: Framed): Framing {
  const { referencePoses: poses, geoms, layout } = description;
  const solid = geoms.map((shape, i) => ({ shape, at: 7 * i })).filter(({ shape }) => isShown(shape) && isSolid(shape));
  const moving = solid.filter(({ shape }) => shape.body !== 0);
  const balls = (some: typeof solid) =>
    some.map(({ shape, at }) => ({ center: pointAt(poses, at), radius: boundingRadius(shape, description) }));
  // What swings about a fixed point is given room all around it.
  const swings = description.anchored.map(({ point, bodies }) => {
    const parts = balls(moving.filter(({ shape }) => bodies.includes(shape.body)));
    return { center: point, radius: Math.max(0, ...parts.map((part) => distance(point, part.center) + part.radius)) };
  });
  const swinging = new Set(description.anchored.flatMap(({ bodies }) => bodies));
  const free = moving.filter(({ shape }) => !swinging.has(shape.body) && shape.surface.material !== "target");
  const parts = [...balls(free), ...swings];
  const robot = ballAround(parts.length > 0 ? parts : balls(solid));
  const everything = ballAround(balls(solid));
  const surroundings = distance(robot.center, everything.center) + everything.radius;
  return {
    center: robot.center,
    radius: Math.max(0.05, 0.8 * description.slideReach, Math.min(surroundings, widestView * robot.radius)),
    direction: viewDirection(description.cameraDirection),
    focus: pointAt(poses, snapshotOffsets(layout).focus),
  };
}

/**
 * Turns the model's own camera a little aside and, where it looks level, a little down, so that depth can be seen.
 * A camera straight from above is tilted.
 */
export function viewDirection(direction: Point | undefined): Point {
  const [x, y, z] = direction ?? [0, 1, 0];
  const level = Math.hypot(x, y);
  const azimuth = (level < 0.2 ? Math.PI / 2 : Math.atan2(y, x)) + 0.32;
  const steepness = Math.atan2(-z, level);
  const down = steepness > 1.1 ? 1 : Math.min(0.36, Math.max(0.2, steepness));
  return [Math.cos(down) * Math.cos(azimuth), Math.cos(down) * Math.sin(azimuth), -Math.sin(down)];
}

/** Half the sides of the box around the camera's target in which the robot moves without being followed, in radii. */
const deadBand: Point = [0.15, 0.15, 0.3];
/** How far behind a fast robot the view may be, in radii beyond the box: it stays in the picture at any speed. */
const leash = 0.35;
/** How fast the view catches up, a second. */
const followRate = 4;

/**
 * Moves a camera target towards the robot, in place, by the time since the last frame, however long that was. Within a dead
 * band it stays, so small motions do not shake the view; far jumps, as between two episodes, are taken at once.
 */
export function followStep(target: [number, number, number], wanted: Point, radius: number, elapsedSecs: number): void {
  const over: Point = [
    excess(target, wanted, radius, 0),
    excess(target, wanted, radius, 1),
    excess(target, wanted, radius, 2),
  ];
  const behind = Math.hypot(...over);
  const jumped = behind > 2 * radius;
  const part = Math.max(1 - Math.exp(-followRate * elapsedSecs), behind > 0 ? 1 - (leash * radius) / behind : 0);
  for (let i = 0; i < 3; i += 1) {
    target[i] = jumped ? (wanted[i] ?? 0) : (target[i] ?? 0) + part * (over[i] ?? 0);
  }
}

/** How far the robot has left the dead band along an axis. */
function excess(target: Point, wanted: Point, radius: number, axis: number): number {
  const offset = (wanted[axis] ?? 0) - (target[axis] ?? 0);
  return Math.sign(offset) * Math.max(0, Math.abs(offset) - radius * (deadBand[axis] ?? 0));
}

export function pointAt(poses: Float32Array, at: number): Point {
  return [poses[at] ?? 0, poses[at + 1] ?? 0, poses[at + 2] ?? 0];
}

function isSolid({ shape }: Shape): boolean {
  return shape !== "plane" && shape !== "hfield";
}

function boundingRadius({ shape, size, data }: Shape, { meshes }: Framed): number {
  const [a, b, c] = size;
  switch (shape) {
    case "sphere":
      return a;
    case "capsule":
      return a + b;
    case "cylinder":
      return Math.hypot(a, b);
    case "mesh":
      return meshes[data]?.reach ?? 0;
    default:
      return Math.hypot(a, b, c);
  }
}

interface Ball {
  readonly center: Point;
  readonly radius: number;
}

/** A ball around the middle of the balls' common box that holds them all. */
function ballAround(balls: readonly Ball[]): Ball {
  if (balls.length === 0) return { center: [0, 0, 0], radius: 1 };
  const middle = (axis: 0 | 1 | 2) => {
    const low = Math.min(...balls.map(({ center, radius }) => center[axis] - radius));
    const high = Math.max(...balls.map(({ center, radius }) => center[axis] + radius));
    return (low + high) / 2;
  };
  const center: Point = [middle(0), middle(1), middle(2)];
  return { center, radius: Math.max(...balls.map((ball) => distance(center, ball.center) + ball.radius)) };
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
