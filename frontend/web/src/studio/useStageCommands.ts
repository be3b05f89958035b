import { useCommand } from "../stores/commands";
import type { StageAction } from "./keys";

const GROUP = "Robot";

/** Tells palette and list of keys what can be done on the stage; `useStageKeys` listens for the keys. */
export function useStageCommands(onAction: (action: StageAction) => void, playing: boolean): void {
  const offer = (action: StageAction, title: string, shortcut: string, keywords: readonly string[] = []) => ({
    id: `stage.${action}`,
    title,
    group: GROUP,
    shortcut,
    keywords,
    listensItself: true,
    run: () => onAction(action),
  });
  useCommand(offer("play", playing ? "Pause" : "Play", "Space", ["stop", "go on"]));
  useCommand(offer("step", "One step", "."));
  useCommand(offer("episode", "New episode", "n", ["reset", "restart", "again"]));
  useCommand(offer("camera", "First view", "h", ["camera", "home"]));
  useCommand(offer("contacts", "Show contact forces, or hide them", "f", ["touch"]));
  useCommand(offer("slower", "Slower", "-", ["speed", "slow motion"]));
  useCommand(offer("faster", "Faster", "+", ["speed"]));
  useCommand({ ...offer("play", "Push the robot", "Shift+ArrowLeft"), id: "stage.push", onlyKey: true });
}
