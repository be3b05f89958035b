import { Color } from "three";

/** Colours of everything that is not the robot. */
export interface Palette {
  /** What the floor fades into: the middle of the page's own background. */
  readonly haze: Color;
  readonly floor: Color;
  readonly floorLine: Color;
  /** Light from above and from below. */
  readonly sky: Color;
  readonly ground: Color;
  readonly skyStrength: number;
  readonly sunStrength: number;
}

const fallbacks = {
  dark: { top: "#20262f", bottom: "#12151a", floor: "#1b2027", line: "#2a313b" },
  light: { top: "#eef2f6", bottom: "#dfe5ec", floor: "#e6ebf0", line: "#ccd5de" },
} as const;

/** Reads the palette from the CSS custom properties of the stage's container, where they are set. */
export function readPalette(container: Element, theme: "dark" | "light"): Palette {
  const style = getComputedStyle(container);
  const property = (name: string, fallback: string) => new Color(style.getPropertyValue(name).trim() || fallback);
  const fallback = fallbacks[theme];
  const [top, bottom] = [property("--stage-top", fallback.top), property("--stage-bottom", fallback.bottom)];
  return {
    haze: top.clone().lerp(bottom, 0.5),
    floor: property("--stage-floor", fallback.floor),
    floorLine: property("--stage-floor-line", fallback.line),
    sky: new Color(theme === "dark" ? "#cfe0ff" : "#ffffff"),
    ground: new Color(theme === "dark" ? "#3a3630" : "#b9b2a6"),
    skyStrength: theme === "dark" ? 1.7 : 2.0,
    sunStrength: theme === "dark" ? 2.1 : 1.9,
  };
}
