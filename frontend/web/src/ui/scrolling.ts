/** Brings a part of the page into view: gliding, or at once for those who asked the system for less motion. */
export function bringIntoView(element: Element | null | undefined, block: ScrollLogicalPosition): void {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element?.scrollIntoView({ behavior: still ? "auto" : "smooth", block });
}
