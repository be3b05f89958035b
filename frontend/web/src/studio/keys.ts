/** What keys do on the stage, for those who know them. */
export type StageAction = "play" | "step" | "episode" | "camera" | "contacts" | "slower" | "faster";

/** The key of each action. */
export const SHORTCUTS: Readonly<Record<StageAction, string>> = {
  play: "Space",
  step: ".",
  episode: "N",
  camera: "H",
  contacts: "F",
  slower: "-",
  faster: "+",
};
