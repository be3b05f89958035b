/** What keys do on the stage, for those who know them. */
export type StageAction = "play" | "step" | "episode" | "camera" | "contacts" | "slower" | "faster";

/** Each action's key, as it is shown on its button. */
export const SHORTCUTS: Readonly<Record<StageAction, string>> = {
  play: "Space",
  step: ".",
  episode: "N",
  camera: "H",
  contacts: "F",
  slower: "−",
  faster: "+",
};
