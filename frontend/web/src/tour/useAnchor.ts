import { type CSSProperties, useEffect, useState } from "react";
import { bringIntoView } from "../ui/bringIntoView";

/** Where ring and card of a mark go, within the window. */
export interface Anchor {
  readonly ring: CSSProperties;
  readonly card: CSSProperties;
}

const GAP = 10;
const RING = 6;
const INSET = 84;
const CARD = { width: 320, height: 170 };
const PHONE_WIDTH = 640;
/** A part that is out of sight is looked for again after this long, while a page that loads still moves it. */
const AGAIN_MS = 600;

/** Follows the first of these parts of the page that is there; undefined while none is. Brings it into view, until the person scrolls. */
export function useAnchor(testIds: readonly string[], step: number): Anchor | undefined {
  const [anchor, setAnchor] = useState<Anchor>();
  const wanted = testIds.join(" ");

  // biome-ignore lint/correctness/useExhaustiveDependencies: each step brings its part of the page into view anew
  useEffect(() => {
    const ids = wanted.split(" ");
    let shown: Element | undefined;
    let broughtMs = 0;
    let scrolls = false;
    const follow = (nowMs: number) => {
      const element = ids.map((id) => document.querySelector(`[data-testid="${id}"]`)).find((each) => each !== null);
      const part = element?.getBoundingClientRect();
      if (element && part && (element !== shown || (!scrolls && !isInSight(part) && nowMs - broughtMs > AGAIN_MS))) {
        bringIntoView(element, "center");
        broughtMs = nowMs;
      }
      shown = element ?? undefined;
      const next = part ? anchorAt(part, window.innerWidth, window.innerHeight) : undefined;
      setAnchor((before) => (JSON.stringify(before) === JSON.stringify(next) ? before : next));
    };
    // Fonts, pictures and unfolding parts move things without any event, so each frame looks where the part is.
    let frame = requestAnimationFrame(function look(nowMs) {
      follow(nowMs);
      frame = requestAnimationFrame(look);
    });
    const leave = () => {
      scrolls = true;
    };
    window.addEventListener("wheel", leave, { passive: true });
    window.addEventListener("touchmove", leave, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      window.removeEventListener("wheel", leave);
      window.removeEventListener("touchmove", leave);
    };
  }, [wanted, step]);

  return anchor;
}

function isInSight({ top, bottom }: DOMRect): boolean {
  return bottom > 0 && top < window.innerHeight;
}

/** Ring around a part of the page, card beside it or else below or above; on a phone the card stays at the bottom, where the style puts it. */
export function anchorAt(part: DOMRect, width: number, height: number): Anchor {
  const ring = {
    left: part.left - RING,
    top: part.top - RING,
    width: part.width + 2 * RING,
    height: part.height + 2 * RING,
  };
  if (width <= PHONE_WIDTH) return { ring, card: {} };
  const card = (left: number, top: number) => ({
    ring,
    card: {
      left: Math.max(GAP, Math.min(left, width - CARD.width - GAP)),
      top: Math.max(GAP, Math.min(top, height - CARD.height - 2 * GAP)),
      right: "auto",
      bottom: "auto",
    },
  });
  // Beside it nothing is hidden that belongs to it, such as the next example.
  const onLeft = part.left - 2 * GAP - CARD.width;
  if (onLeft > 0) return card(onLeft, part.top);
  const below = part.bottom + GAP + CARD.height < height;
  const above = part.top - GAP - CARD.height > 0;
  // A part as large as the stage has the card in its upper corner, below what stands there.
  if (part.height > height / 2 || !(below || above)) return card(part.left + 2 * GAP, part.top + INSET);
  return card(part.left, below ? part.bottom + GAP : part.top - GAP - CARD.height);
}
