import { createResources, type Resources } from "./resource";

/** The beginning of a list that is told in pages. */
export interface Listing<T> {
  readonly items: readonly T[];
  /** Token of the page after; empty when nothing follows. */
  readonly nextPageToken: string;
}

/** Lists by key, each with as many pages as were asked for. */
export interface Listings<T> extends Resources<Listing<T>> {
  /** Loads one page more; what is shown stays until it is there. */
  more(key: string): void;
}

/** Lists that `loadPage` fetches page by page; an empty token is that of the first. */
export function createListings<T>(loadPage: (key: string, pageToken: string) => Promise<Listing<T>>): Listings<T> {
  const wantedPages = new Map<string, number>();

  // All pages are read anew, so that what was added meanwhile appears once and in its place.
  const resources = createResources(async (key: string) => {
    let listing = await loadPage(key, "");
    for (let page = 1; page < (wantedPages.get(key) ?? 1) && listing.nextPageToken; page++) {
      const { items, nextPageToken } = await loadPage(key, listing.nextPageToken);
      listing = { items: [...listing.items, ...items], nextPageToken };
    }
    return listing;
  });

  return {
    ...resources,
    more(key) {
      const { value, loading } = resources.get(key);
      if (loading || !value?.nextPageToken) return;
      wantedPages.set(key, (wantedPages.get(key) ?? 1) + 1);
      resources.reload(key);
    },
  };
}
