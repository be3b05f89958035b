import { useEffect, useRef } from "react";
import { isFreeKey } from "../ui/freeKeys";
import { type StageAction, stageActionOf } from "./keys";
import { type PushWay, pushWayOf } from "./pushing";

interface StageKeys {
  readonly onAction: (action: StageAction) => void;
  readonly onPush: (way: PushWay) => void;
}

/** Lets the keyboard do what the toolbar does, and Shift with an arrow push the robot. */
export function useStageKeys(keys: StageKeys): void {
  const latest = useRef(keys);
  latest.current = keys;

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || !isFreeKey(event.target, event.key)) return;
      const way = event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey && pushWayOf(event.code);
      const action = stageActionOf(event);
      if (!way && !action) return;
      event.preventDefault();
      if (way) latest.current.onPush(way);
      // A key that is held down switches nothing to and fro.
      else if (action && (!event.repeat || action === "step")) latest.current.onAction(action);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}
