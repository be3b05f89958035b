import { useRef } from "react";
import { headStart } from "../app/headStart";
import { useSession } from "../app/session";

/** A pointer that rests on a card for as long may be about to choose it. */
const dwellMs = 80;

/** What a link to a robot does when somebody is about to follow it: the robot is loading before it is asked for. */
export function useHeadStart(environmentId: string) {
  const session = useSession();
  const dwelling = useRef<ReturnType<typeof setTimeout>>(undefined);
  const begin = () => headStart(session, environmentId);
  return {
    onPointerEnter: () => {
      dwelling.current = setTimeout(begin, dwellMs);
    },
    onPointerLeave: () => clearTimeout(dwelling.current),
    onPointerDown: begin,
    onFocus: begin,
  };
}
