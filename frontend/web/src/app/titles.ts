import type { Place } from "./location";

/** What the window is called at a place; empty for the gallery. */
export function titleOf(place: Place, environmentTitle: string | undefined): string {
  switch (place.view) {
    case "policies":
      return place.name ? `${place.name} · Policies` : "Policies";
    case "compare":
      return "Compare";
    case "work":
      return "Your work";
    default:
      return environmentTitle ?? place.environmentId;
  }
}
