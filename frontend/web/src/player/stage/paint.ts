import { Color } from "three";
import type { Shape } from "../sceneDescription";

/** The paints of the gallery's pictures. Robots of the DeepMind Control Suite wear them here too. */
export type Paint = "porcelain" | "stone" | "ink" | "citron" | "leaf";

export type Paints = Readonly<Record<Paint, Color>>;

const shared = { porcelain: "#f3f4ee", stone: "#b9c1b9", citron: "#cdee3c", leaf: "#3f9a72" } as const;

/** Dark things would vanish on a dark floor, so ink is lighter there. */
export function paintsFor(theme: "light" | "dark"): Paints {
  const colors = { ...shared, ink: theme === "dark" ? "#56655d" : "#2a352f" };
  const of = (name: Paint) => new Color(colors[name]);
  return {
    porcelain: of("porcelain"),
    stone: of("stone"),
    ink: of("ink"),
    citron: of("citron"),
    leaf: of("leaf"),
  };
}

const paintOfMaterial: ReadonlyMap<string, Paint> = new Map([
  ["self", "porcelain"],
  ["effector", "leaf"],
  ["decoration", "ink"],
  ["eye", "ink"],
  ["target", "citron"],
  ["site", "stone"],
]);

/** Geoms that are set off from their robot, by the beginning of the environment's id: what moves, steps or is to be watched. */
const accents: readonly (readonly [robot: string, paint: Paint, geoms: readonly string[]])[] = [
  ["Acrobot", "leaf", ["lower_arm"]],
  ["Cartpole", "leaf", ["pole_1"]],
  ["Cheetah", "leaf", ["bfoot", "ffoot", "head"]],
  ["Hopper", "leaf", ["foot", "nose"]],
  [
    "Humanoid",
    "leaf",
    ["right_right_foot", "left_right_foot", "left_left_foot", "right_left_foot", "right_hand", "left_hand"],
  ],
  ["PointMass", "leaf", ["pointmass"]],
  ["Walker", "leaf", ["right_foot", "left_foot"]],
  ["Walker", "stone", ["left_thigh", "left_leg"]],
];

/** The paint that a shape wears; undefined where the scene's own colours stay. */
export function paintOf({ name, surface }: Shape, environmentId: string): Paint | undefined {
  const paint = paintOfMaterial.get(surface.material);
  if (!paint) return undefined;
  const accent = accents.find(([robot, , geoms]) => environmentId.startsWith(robot) && geoms.includes(name));
  return accent?.[1] ?? paint;
}
