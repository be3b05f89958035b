import { Color } from "three";
import { type Paints, paintsFor } from "./paint";

/** Colours of everything that is not the robot. */
export interface Palette {
  /** What the floor fades into: the middle of the page's own background. */
  readonly haze: Color;
  readonly floorLine: Color;
  readonly shadowStrength: number;
  readonly paints: Paints;
  /** Arrows of contact forces. */
  readonly force: Color;
  /** The rim of what must be seen on any ground. */
  readonly ink: Color;
  /** Light from above and from below. */
  readonly sky: Color;
  readonly ground: Color;
  readonly skyStrength: number;
  /** Least part of the light that the robot's own colours reflect. */
  readonly darkest: number;
  /** Light from behind, which draws the robot's outline. */
  readonly rimStrength: number;
  readonly sunStrength: number;
}

const fallbacks = {
  dark: { top: "#0f1512", bottom: "#1d2621", line: "#31403a", force: "#ff8fa8" },
  light: { top: "#a9b5ac", bottom: "#d3dad2", line: "#8b988f", force: "#b3304f" },
} as const;

/** Reads the palette from the CSS custom properties of the stage's container, where they are set. */
export function readPalette(container: Element, theme: "dark" | "light"): Palette {
  const style = getComputedStyle(container);
  const property = (name: string, fallback: string) => new Color(style.getPropertyValue(name).trim() || fallback);
  const fallback = fallbacks[theme];
  const [top, bottom] = [property("--stage-top", fallback.top), property("--stage-bottom", fallback.bottom)];
  return {
    haze: top.clone().lerp(bottom, 0.5),
    floorLine: property("--stage-floor-line", fallback.line),
    force: property("--series-7", fallback.force),
    ink: new Color("#10150f"),
    sky: new Color(theme === "dark" ? "#dfe9e3" : "#ffffff"),
    ground: new Color(theme === "dark" ? "#4a544e" : "#8f9a92"),
    darkest: theme === "dark" ? 0.06 : 0,
    rimStrength: theme === "dark" ? 1.6 : 0.7,
    skyStrength: theme === "dark" ? 1.3 : 1.5,
    sunStrength: theme === "dark" ? 1.9 : 1.9,
    shadowStrength: theme === "dark" ? 0.5 : 0.32,
    paints: paintsFor(theme),
  };
}
