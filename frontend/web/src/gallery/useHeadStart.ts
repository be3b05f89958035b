import { useEffect, useRef } from "react";
import { headStart } from "../app/headStart";
import { useSession } from "../app/session";

/** A pointer or the focus that rests on a card for as long may be about to choose it. */
const dwellMs = 80;

/** What a link to a robot does when somebody is about to follow it: the robot is loading before it is asked for. */
export function useHeadStart(environmentId: string) {
  const session = useSession();
  const dwelling = useRef<ReturnType<typeof setTimeout>>(undefined);
  const begin = () => headStart(session, environmentId);
  const stop = () => clearTimeout(dwelling.current);
  const dwell = () => {
    stop();
    dwelling.current = setTimeout(begin, dwellMs);
  };
  useEffect(() => () => clearTimeout(dwelling.current), []);
  return { onPointerEnter: dwell, onPointerLeave: stop, onPointerDown: begin, onFocus: dwell, onBlur: stop };
}
