import { type RefObject, useEffect, useRef, useState } from "react";

/** How far below the window something may be to count as reached, as CSS has it: a screen's height. */
const AHEAD = "100% 0px";

/** Whether an element was ever in view, or about to be. */
export function useReached<E extends Element>(): [RefObject<E | null>, boolean] {
  const element = useRef<E>(null);
  const [reached, setReached] = useState(false);
  useEffect(() => {
    if (reached || !element.current) return;
    const observer = new IntersectionObserver(([entry]) => setReached(entry?.isIntersecting ?? false), {
      rootMargin: AHEAD,
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [reached]);
  return [element, reached];
}
