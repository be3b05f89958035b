/** Scrolls to a part of the page; at once for people who want nothing to move. */
export function bringIntoView(part: Element | null | undefined, block: ScrollLogicalPosition = "nearest"): void {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  part?.scrollIntoView({ behavior: still ? "auto" : "smooth", block });
}
