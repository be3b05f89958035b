import { type ComponentType, lazy } from "react";
import { pause } from "../rpc/reliability";

const ATTEMPTS = 5;
const FIRST_DELAY_MS = 500;

/** A component in a file of its own, and a way to fetch that file before it is needed. */
export interface Later<P> {
  readonly Component: React.LazyExoticComponent<ComponentType<P>>;
  prefetch(): void;
}

/** Loads a component when it is first shown. A file that does not come (the gateway restarts) is asked for again a few times. */
export function loadLater<P>(load: () => Promise<ComponentType<P>>): Later<P> {
  let loading: Promise<ComponentType<P>> | undefined;
  const once = () => {
    loading ??= persistently(load).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
  return {
    Component: lazy(async () => ({ default: await once() })),
    prefetch: () => void once().catch(() => undefined),
  };
}

async function persistently<T>(load: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await load();
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await pause(FIRST_DELAY_MS * 2 ** (attempt - 1));
    }
  }
}

/** Runs `work` when the browser has nothing better to do. */
export function whenIdle(work: () => void): () => void {
  if (typeof requestIdleCallback !== "function") {
    const timer = setTimeout(work, 1000);
    return () => clearTimeout(timer);
  }
  const handle = requestIdleCallback(work, { timeout: 4000 });
  return () => cancelIdleCallback(handle);
}
