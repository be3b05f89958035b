import { type RefObject, useEffect, useRef, useState } from "react";
import { isFree } from "../app/keys";
import {
  commandFor,
  type Driving,
  isStill,
  type Joystick,
  STILL,
  type Steering,
  steeringByGamepad,
  steeringByKeys,
  steers,
} from "./driving";

interface DrivingInput {
  readonly driving: Driving;
  /** Absent for a policy that no joystick can steer. */
  readonly joystick: Joystick | undefined;
  /** Arrow keys scroll the page unless the focus is in here or `arrows` is set. */
  readonly around: RefObject<HTMLElement | null>;
  readonly arrows: boolean;
}

/** Lets keyboard and gamepad steer; returns the name of the gamepad that is in use, or empty. */
export function useDriving({ driving, joystick, around, arrows }: DrivingInput): string {
  const latest = useRef({ joystick, arrows });
  latest.current = { joystick, arrows };
  const [gamepad, setGamepad] = useState("");
  const steerable = joystick !== undefined;

  useEffect(() => {
    if (!steerable) return;
    const steer = (steering: Steering) => {
      const { joystick: present } = latest.current;
      if (present) driving.hold(present.field, commandFor(present, steering));
    };
    const stopKeys = followKeys(steer, (event) => {
      if (!event.code.startsWith("Arrow") || latest.current.arrows) return true;
      return event.target instanceof Node && (around.current?.contains(event.target) ?? false);
    });
    const stopGamepads = followGamepads(steer, setGamepad);
    return () => {
      stopKeys();
      stopGamepads();
    };
  }, [driving, around, steerable]);

  return gamepad;
}

/** Reports the steering of the keys that are down, each time it changes. */
function followKeys(steer: (steering: Steering) => void, concerns: (event: KeyboardEvent) => boolean): () => void {
  const down = new Set<string>();
  const press = (event: KeyboardEvent) => {
    const modified = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
    if (modified || !steers(event.code) || !isFree(event.target, event.key) || !concerns(event)) return;
    event.preventDefault();
    if (event.repeat && down.has(event.code)) return;
    down.add(event.code);
    steer(steeringByKeys(down));
  };
  const release = (event: KeyboardEvent) => {
    if (down.delete(event.code)) steer(steeringByKeys(down));
  };
  // A key let go in another window is never told here.
  const forget = () => {
    if (down.size === 0) return;
    down.clear();
    steer(STILL);
  };
  window.addEventListener("keydown", press);
  window.addEventListener("keyup", release);
  window.addEventListener("blur", forget);
  return () => {
    window.removeEventListener("keydown", press);
    window.removeEventListener("keyup", release);
    window.removeEventListener("blur", forget);
    forget();
  };
}

/** Reads the first gamepad as often as the page is drawn, while there is one. */
function followGamepads(steer: (steering: Steering) => void, named: (name: string) => void): () => void {
  let frame = 0;
  let last = STILL;
  const read = () => {
    const pad = (navigator.getGamepads?.() ?? []).find((each) => each?.connected);
    named(pad?.id ?? "");
    if (!pad) {
      frame = 0;
      return;
    }
    const next = steeringByGamepad(pad.axes);
    // A pad that lies still leaves the command to the keys and the pointer.
    if (!(isStill(next) && isStill(last)) && !same(next, last)) steer(next);
    last = next;
    frame = requestAnimationFrame(read);
  };
  const begin = () => {
    if (frame === 0) read();
  };
  begin();
  window.addEventListener("gamepadconnected", begin);
  return () => {
    cancelAnimationFrame(frame);
    window.removeEventListener("gamepadconnected", begin);
  };
}

function same(left: Steering, right: Steering): boolean {
  return left.forward === right.forward && left.left === right.left && left.turn === right.turn;
}
