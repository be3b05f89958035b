import { useEffect, useSyncExternalStore } from "react";
import { askAgainMs, type Failure, failureFrom } from "../rpc/failure";
import { createStore } from "./store";

/** Key of resources of which there is one. */
export const ALL = "all";

/** Something fetched once and kept. A failed reload keeps the value of the time before. */
export interface Loaded<T> {
  readonly value?: T;
  readonly failure?: Failure;
  readonly loading: boolean;
}

const NOTHING: Loaded<never> = { loading: false };

/** Values by key, each loaded when first asked for, and again by itself after a failure that passes. */
export interface Resources<T> {
  get(key: string): Loaded<T>;
  /** Loads unless a value is there or on its way. */
  ensure(key: string): void;
  /** Loads anew; the old value stays until the new one is there. */
  reload(key: string): void;
  /** Loads anew what is not on its way already: others may have changed it. */
  refresh(key: string): void;
  put(key: string, value: T): void;
  /** Loads again whatever failed for a reason that passes, or for whatever reason. */
  retryFailed(which?: { readonly unlikely: boolean }): void;
  subscribe(listener: () => void): () => void;
}

/** Resources that `load` fetches. */
export function createResources<T>(load: (key: string) => Promise<T>): Resources<T> {
  const store = createStore<ReadonlyMap<string, Loaded<T>>>(new Map());
  const newest = new Map<string, number>();
  const write = (key: string, entry: Loaded<T>) => store.set((map) => new Map(map).set(key, entry));
  const get = (key: string): Loaded<T> => store.get().get(key) ?? NOTHING;

  async function fetchAnew(key: string): Promise<void> {
    const ticket = (newest.get(key) ?? 0) + 1;
    newest.set(key, ticket);
    write(key, { ...get(key), loading: true });
    try {
      const value = await load(key);
      if (newest.get(key) === ticket) write(key, { value, loading: false });
    } catch (thrown) {
      if (newest.get(key) !== ticket) return;
      const { value } = get(key);
      const failure = failureFrom(thrown);
      write(key, { ...(value === undefined ? {} : { value }), failure, loading: false });
      const delayMs = askAgainMs(failure);
      if (delayMs !== undefined) setTimeout(() => newest.get(key) === ticket && void fetchAnew(key), delayMs);
    }
  }

  return {
    get,
    ensure(key) {
      const entry = get(key);
      if (!entry.loading && entry.value === undefined && !entry.failure) void fetchAnew(key);
    },
    reload: (key) => void fetchAnew(key),
    refresh(key) {
      if (!get(key).loading) void fetchAnew(key);
    },
    put(key, value) {
      newest.set(key, (newest.get(key) ?? 0) + 1);
      write(key, { value, loading: false });
    },
    retryFailed({ unlikely } = { unlikely: false }) {
      for (const [key, { failure, loading }] of store.get()) {
        if (failure && (failure.transient || unlikely) && !loading) void fetchAnew(key);
      }
    },
    subscribe: store.subscribe,
  };
}

/** The resource of `key`, loaded on first use; an empty key loads nothing. */
export function useResource<T>(resources: Resources<T>, key: string): Loaded<T> {
  useEffect(() => {
    if (key) resources.ensure(key);
  }, [resources, key]);
  return useSyncExternalStore(resources.subscribe, () => resources.get(key));
}

/** The resource of `key`, read anew whenever the view is opened. What was known is shown meanwhile; an empty key loads nothing. */
export function useFresh<T>(resources: Resources<T>, key: string): Loaded<T> {
  useEffect(() => {
    if (key) resources.refresh(key);
  }, [resources, key]);
  return useSyncExternalStore(resources.subscribe, () => resources.get(key));
}
