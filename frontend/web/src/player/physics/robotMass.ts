import type { MjModel } from "@mujoco/mujoco";
import { treesOf } from "./poses";

/** First body of the heaviest tree, which is the robot, and its mass in kilograms; undefined where nothing moves. */
export function robotRoot(model: MjModel): { readonly body: number; readonly massKg: number } | undefined {
  return treesOf(model)
    .map(({ root }) => ({ body: root, massKg: model.body_subtreemass[root] as number }))
    .sort((a, b) => b.massKg - a.massKg)[0];
}

/** Mass of the tree that a body belongs to; 0 for bodies that no force moves. */
export function treeMassKg(model: MjModel, body: number): number {
  const tree: number = model.body_treeid[body] ?? -1;
  const root = treesOf(model).find((candidate) => model.body_treeid[candidate.root] === tree)?.root;
  return tree < 0 || root === undefined ? 0 : model.body_subtreemass[root];
}

export function gravityOf(model: MjModel): number {
  return Math.hypot(...(model.opt.gravity as Float64Array)) || 9.81;
}
