import { useCommand } from "../stores/commands";
import { SHORTCUTS, type StageAction } from "./keys";
import type { PushWay } from "./pushing";
import type { Drawer } from "./Toolbar";
import type { Recording } from "./useRecording";

const GROUP = "Robot";
const STEERING = "Steering";

interface PlaybackCommands {
  readonly playing: boolean;
  readonly ready: boolean;
  readonly onAction: (action: StageAction) => void;
}

interface PushCommands {
  readonly ready: boolean;
  readonly onPush: (way: PushWay) => void;
}

interface StageCommands extends PlaybackCommands, PushCommands {
  /** Whether the policy takes commands, and whether a joystick could give them. */
  readonly drivable: boolean;
  readonly steerable: boolean;
  readonly recording: Recording;
  readonly onDrawer: (drawer: Drawer) => void;
  readonly onPicture: () => void;
  readonly onRecord: () => void;
}

/** Gives palette and keyboard what moves time and view. */
export function usePlaybackCommands({ playing, ready, onAction }: PlaybackCommands): void {
  const offer = (action: StageAction, title: string, keywords: readonly string[] = []) => ({
    id: `stage.${action}`,
    title,
    group: GROUP,
    shortcut: SHORTCUTS[action],
    keywords,
    run: () => onAction(action),
  });
  useCommand(offer("play", playing ? "Pause the robot" : "Let the robot move", ["play", "pause", "stop"]));
  useCommand({ ...offer("step", "One step", ["frame"]), repeats: true }, ready);
  useCommand(offer("episode", "New episode", ["reset", "restart", "again"]));
  useCommand(offer("camera", "First view", ["camera", "home"]), ready);
  useCommand(offer("contacts", "Show contact forces, or hide them", ["touch"]));
  useCommand(offer("slower", "Slower", ["speed", "slow motion"]));
  useCommand(offer("faster", "Faster", ["speed"]));
}

/** Gives palette and keyboard what can be done on the stage. */
export function useStageCommands(stage: StageCommands): void {
  const { ready, drivable, recording, onDrawer } = stage;
  const open = (drawer: Drawer, title: string, keywords: readonly string[]) => ({
    id: `stage.open-${drawer}`,
    title,
    group: GROUP,
    keywords,
    run: () => onDrawer(drawer),
  });
  useCommand(open("drive", "Steer the robot", ["joystick", "gamepad", "command", "drive"]), drivable);
  useCommand(open("push", "Push the robot", ["shove", "disturb"]));
  useCommand(open("pose", "Joints and motors", ["pose", "slider", "actuator"]));
  useCommand(
    { id: "stage.picture", title: "Save a picture", group: GROUP, keywords: ["png", "photo"], run: stage.onPicture },
    ready,
  );
  useCommand(
    {
      id: "stage.record",
      title: recording.running ? "Stop recording and save the video" : "Record a video",
      group: GROUP,
      keywords: ["webm", "film", "capture"],
      run: recording.running ? recording.stop : stage.onRecord,
    },
    ready,
  );
  usePlaybackCommands(stage);
  usePushCommands(stage);
  useSteeringKeys(stage);
}

/** Lets Shift with an arrow push the robot. */
export function usePushCommands({ ready, onPush }: PushCommands): void {
  const push = (way: PushWay, title: string, arrow: string) => ({
    id: `stage.push-${way}`,
    title,
    group: GROUP,
    shortcut: `Shift+Arrow${arrow}`,
    onlyKey: true,
    repeats: true,
    run: () => onPush(way),
  });
  useCommand(push("forwards", "Push it forwards", "Up"), ready);
  useCommand(push("backwards", "Push it backwards", "Down"), ready);
  useCommand(push("left", "Push it to its left", "Left"), ready);
  useCommand(push("right", "Push it to its right", "Right"), ready);
}

/** Keys that are held down; `useDriving` listens for them. */
function useSteeringKeys({ steerable }: StageCommands): void {
  const steer = (key: string, title: string) => ({
    id: `stage.steer-${key}`,
    title,
    group: STEERING,
    shortcut: key,
    listensItself: true,
    onlyKey: true,
    run: () => undefined,
  });
  useCommand(steer("w", "Forwards"), steerable);
  useCommand(steer("s", "Backwards"), steerable);
  useCommand(steer("a", "Sideways to its left"), steerable);
  useCommand(steer("d", "Sideways to its right"), steerable);
  useCommand(steer("q", "Turn to its left"), steerable);
  useCommand(steer("e", "Turn to its right"), steerable);
}
