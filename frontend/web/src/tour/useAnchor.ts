import { type CSSProperties, useEffect, useState } from "react";
import { bringIntoView } from "../ui/scrolling";

/** Where ring and card of a mark go, within the window. */
export interface Anchor {
  readonly ring: CSSProperties;
  readonly card: CSSProperties;
}

const GAP = 10;
const RING = 4;
const CARD = { width: 320, height: 170 };

/** Follows the first of these parts of the page that is there; undefined while none is. Brings it into view once for each step. */
export function useAnchor(testIds: readonly string[], step: number): Anchor | undefined {
  const [anchor, setAnchor] = useState<Anchor>();
  const wanted = testIds.join(" ");

  // biome-ignore lint/correctness/useExhaustiveDependencies: each step brings its part of the page into view anew
  useEffect(() => {
    const ids = wanted.split(" ");
    let shown: Element | undefined;
    let frame = 0;
    const follow = () => {
      frame = 0;
      const element = ids.map((id) => document.querySelector(`[data-testid="${id}"]`)).find((each) => each !== null);
      if (element && element !== shown) bringIntoView(element, "center");
      shown = element ?? undefined;
      const next = element
        ? anchorAt(element.getBoundingClientRect(), window.innerWidth, window.innerHeight)
        : undefined;
      setAnchor((before) => (JSON.stringify(before) === JSON.stringify(next) ? before : next));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(follow);
    };
    soon();
    // The page grows and changes while things load; a part that moves moves its mark along.
    const changes = new MutationObserver(soon);
    changes.observe(document.body, { childList: true, subtree: true });
    window.addEventListener("scroll", soon, { passive: true, capture: true });
    window.addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      changes.disconnect();
      window.removeEventListener("scroll", soon, { capture: true });
      window.removeEventListener("resize", soon);
    };
  }, [wanted, step]);

  return anchor;
}

/** Ring around a part of the page, card below it or above; on a phone the card stays at the bottom, where the style puts it. */
export function anchorAt(part: DOMRect, width: number, height: number): Anchor {
  const ring = {
    left: part.left - RING,
    top: part.top - RING,
    width: part.width + 2 * RING,
    height: part.height + 2 * RING,
  };
  if (width <= 640) return { ring, card: {} };
  const below = part.bottom + GAP + CARD.height < height;
  const above = part.top - GAP - CARD.height > 0;
  // A part without room around it, such as the stage, has the card in its lower corner.
  const top = below ? part.bottom + GAP : above ? part.top - GAP - CARD.height : height - CARD.height - 2 * GAP;
  const left = Math.max(GAP, Math.min(part.left, width - CARD.width - GAP));
  return { ring, card: { left, top, right: "auto", bottom: "auto" } };
}
