import { createStore, type Store } from "../stores/store";

/** The parts of the page that are no robot's studio. */
export type View = "" | "policies" | "compare" | "work";

/** What the page shows, as its URL says it: `/?env=CartpoleBalance&reward=…&run=…&policy=…`, `/?view=policies&name=…`, `/?view=compare&with=…,…`, `/?view=work`, `/?q=walk`; each part optional. */
export interface Place {
  /** Empty for the gallery, or for the studio where something below names a robot. */
  readonly view: View;
  readonly environmentId: string;
  readonly rewardId: string;
  readonly runId: string;
  /** A policy chosen by hand; empty to follow the run's newest. */
  readonly policyId: string;
  /** The registered policy that the policies' view shows. */
  readonly name: string;
  /** Ids of the policies that are compared, with commas between them. */
  readonly compared: string;
  /** What the gallery is searched for. */
  readonly text: string;
  /** Which group of robots the gallery shows. */
  readonly category: string;
  /** Which robot the gallery shows. */
  readonly robot: string;
  /** `1` where the gallery shows only what a policy can drive. */
  readonly trained: string;
  /** Order of the gallery; empty for that of names. */
  readonly order: string;
}

export const GALLERY: Place = {
  view: "",
  environmentId: "",
  rewardId: "",
  runId: "",
  policyId: "",
  name: "",
  compared: "",
  text: "",
  category: "",
  robot: "",
  trained: "",
  order: "",
};

/** Whether a place is the gallery, however narrowed. */
export function isGallery({ view, environmentId, rewardId, runId, policyId }: Place): boolean {
  return ![view, environmentId, rewardId, runId, policyId].some(Boolean);
}

const PARAMETERS = {
  view: "view",
  environmentId: "env",
  rewardId: "reward",
  runId: "run",
  policyId: "policy",
  name: "name",
  compared: "with",
  text: "q",
  category: "category",
  robot: "robot",
  trained: "trained",
  order: "order",
} as const satisfies Record<keyof Place, string>;
const KEYS = Object.keys(PARAMETERS) as (keyof Place)[];
const VIEWS: readonly string[] = ["policies", "compare", "work"];

function placeFrom(search: string): Place {
  const parameters = new URLSearchParams(search);
  const place = Object.fromEntries(KEYS.map((key) => [key, parameters.get(PARAMETERS[key]) ?? ""])) as unknown as Place;
  return VIEWS.includes(place.view) ? place : { ...place, view: "" };
}

export function hrefOf(place: Partial<Place>): string {
  const parameters = new URLSearchParams();
  for (const key of KEYS) {
    const value = place[key];
    if (value) parameters.set(PARAMETERS[key], value);
  }
  // Commas need no escape in a query, and links that people read are better without.
  const query = parameters.toString().replaceAll("%2C", ",");
  return query ? `/?${query}` : "/";
}

/** The page's place, kept in step with the address bar. */
export interface Navigation {
  readonly place: Store<Place>;
  /** Goes to another place; the back button returns. */
  go(place: Partial<Place>): void;
  /** Changes a part of the present place; the back button takes that back. */
  goOn(change: Partial<Place>): void;
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
  const push = (href: string) => window.history.pushState(null, "", href);
  return {
    place,
    go: (next) => move({ ...GALLERY, ...next }, push),
    goOn: (change) => move({ ...place.get(), ...change }, push),
    refine: (change) => move({ ...place.get(), ...change }, (href) => window.history.replaceState(null, "", href)),
  };
}
