import { createStore, type Store } from "../stores/store";

/** What the page shows, as its URL says it: `/?env=CartpoleBalance&reward=…&run=…&policy=…`, each part optional. */
export interface Place {
  readonly environmentId: string;
  readonly rewardId: string;
  readonly runId: string;
  /** A policy chosen by hand; empty to follow the run's newest. */
  readonly policyId: string;
}

export const GALLERY: Place = { environmentId: "", rewardId: "", runId: "", policyId: "" };

const PARAMETERS = { environmentId: "env", rewardId: "reward", runId: "run", policyId: "policy" } as const;
const KEYS = Object.keys(PARAMETERS) as (keyof Place)[];

export function placeFrom(search: string): Place {
  const parameters = new URLSearchParams(search);
  return Object.fromEntries(KEYS.map((key) => [key, parameters.get(PARAMETERS[key]) ?? ""])) as unknown as Place;
}

export function hrefOf(place: Partial<Place>): string {
  const parameters = new URLSearchParams();
  for (const key of KEYS) {
    const value = place[key];
    if (value) parameters.set(PARAMETERS[key], value);
  }
  const query = parameters.toString();
  return query ? `/?${query}` : "/";
}

/** The page's place, kept in step with the address bar. */
export interface Navigation {
  readonly place: Store<Place>;
  /** Goes to another place; the back button returns. */
  go(place: Partial<Place>): void;
  /** Refines the present place without a step of its own in the history. */
  refine(change: Partial<Place>): void;
}

export function createNavigation(): Navigation {
  const place = createStore<Place>(placeFrom(window.location.search));
  window.addEventListener("popstate", () => place.set(placeFrom(window.location.search)));
  const move = (next: Place, write: (href: string) => void) => {
    const href = hrefOf(next);
    if (href !== hrefOf(place.get())) write(href);
    place.set(next);
  };
  return {
    place,
    go: (next) => move({ ...GALLERY, ...next }, (href) => window.history.pushState(null, "", href)),
    refine: (change) => move({ ...place.get(), ...change }, (href) => window.history.replaceState(null, "", href)),
  };
}
