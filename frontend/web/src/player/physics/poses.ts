import type { MjData, MjModel } from "@mujoco/mujoco";
import { type SnapshotLayout, snapshotOffsets } from "../sceneDescription";

/** mjData's marker for a pulley in `wrap_obj`. */
const pulley = -2;

/** Writes where everything is into a snapshot laid out by `layout`. */
export function writePoses(model: MjModel, data: MjData, layout: SnapshotLayout, poses: Float32Array): void {
  const offsets = snapshotOffsets(layout);
  writeFrames(data.geom_xpos, data.geom_xmat, layout.geoms, poses.subarray(0, offsets.sites));
  writeFrames(data.site_xpos, data.site_xmat, layout.sites, poses.subarray(offsets.sites, offsets.segments));
  writeTendons(model, data, poses.subarray(offsets.segments, offsets.focus));
  poses.set(focusOf(model, data), offsets.focus);
}

/** A kinematic tree: a robot, or a part of the scene that moves by itself. */
export interface Tree {
  /** Its first body. */
  readonly root: number;
  /** First joint of a tree that hangs on the world by a hinge or ball and so never leaves its place; undefined for the others. */
  readonly anchorJoint: number | undefined;
}

export function treesOf(model: MjModel): Tree[] {
  const slide = 2;
  const bodies = Array.from({ length: model.nbody }, (_, body) => body);
  return bodies
    .filter((body) => model.body_treeid[body] >= 0 && model.body_treeid[model.body_parentid[body]] < 0)
    .map((root) => {
      const joint: number = model.body_jntadr[root];
      return { root, anchorJoint: model.jnt_type[joint] > slide || model.jnt_type[joint] === 1 ? joint : undefined };
    });
}

/** What the camera follows: the trees' centres of mass, and the anchors of those that stay in place. Targets are no trees. */
function focusOf(model: MjModel, data: MjData): [number, number, number] {
  const focus: [number, number, number] = [0, 0, 0];
  let total = 0;
  for (const { root, anchorJoint } of treesOf(model)) {
    const mass: number = model.body_subtreemass[root];
    const points: Float64Array = anchorJoint === undefined ? data.subtree_com : data.xanchor;
    const at = 3 * (anchorJoint ?? root);
    total += mass;
    focus[0] += mass * (points[at] ?? 0);
    focus[1] += mass * (points[at + 1] ?? 0);
    focus[2] += mass * (points[at + 2] ?? 0);
  }
  return total > 0 ? [focus[0] / total, focus[1] / total, focus[2] / total] : focus;
}

/** Most segments that each spatial tendon can have, and 0 for the others, which are never drawn. */
export function segmentCapacities(model: MjModel): number[] {
  const jointWrap = 1;
  return Array.from({ length: model.ntendon }, (_, tendon) => {
    const first: number = model.tendon_adr[tendon];
    const spatial = model.wrap_type[first] !== jointWrap;
    // A geom to wrap around adds two points where a site adds one.
    return spatial ? Math.max(0, 2 * (model.tendon_num[tendon] as number) - 1) : 0;
  });
}

function writeTendons(model: MjModel, data: MjData, segments: Float32Array): void {
  segments.fill(0);
  let at = 0;
  segmentCapacities(model).forEach((capacity, tendon) => {
    if (capacity === 0) return;
    const first: number = data.ten_wrapadr[tendon];
    const count: number = data.ten_wrapnum[tendon];
    for (let i = 0; i + 1 < count && i < capacity; i += 1) {
      const point = first + i;
      if (data.wrap_obj[point] === pulley || data.wrap_obj[point + 1] === pulley) continue;
      segments.set((data.wrap_xpos as Float64Array).subarray(3 * point, 3 * point + 6), at + 6 * i);
    }
    at += 6 * capacity;
  });
}

function writeFrames(positions: Float64Array, rotations: Float64Array, count: number, out: Float32Array): void {
  for (let i = 0; i < count; i += 1) {
    out.set(positions.subarray(3 * i, 3 * i + 3), 7 * i);
    writeQuaternion(rotations.subarray(9 * i, 9 * i + 9), out.subarray(7 * i + 3, 7 * i + 7));
  }
}

/** Writes the unit quaternion (x, y, z, w) of a row-major rotation matrix, by Shepperd's method: the largest of the four first. */
export function writeQuaternion(matrix: ArrayLike<number>, out: Float32Array): void {
  const [m00 = 1, m01 = 0, m02 = 0, m10 = 0, m11 = 1, m12 = 0, m20 = 0, m21 = 0, m22 = 1] = Array.from(matrix);
  const trace = m00 + m11 + m22;
  let quaternion: [number, number, number, number];
  if (trace > 0) {
    const s = 2 * Math.sqrt(trace + 1);
    quaternion = [(m21 - m12) / s, (m02 - m20) / s, (m10 - m01) / s, s / 4];
  } else if (m00 > m11 && m00 > m22) {
    const s = 2 * Math.sqrt(1 + m00 - m11 - m22);
    quaternion = [s / 4, (m01 + m10) / s, (m02 + m20) / s, (m21 - m12) / s];
  } else if (m11 > m22) {
    const s = 2 * Math.sqrt(1 + m11 - m00 - m22);
    quaternion = [(m01 + m10) / s, s / 4, (m12 + m21) / s, (m02 - m20) / s];
  } else {
    const s = 2 * Math.sqrt(1 + m22 - m00 - m11);
    quaternion = [(m02 + m20) / s, (m12 + m21) / s, s / 4, (m10 - m01) / s];
  }
  out.set(quaternion);
}
