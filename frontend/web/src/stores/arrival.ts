import { useEffect, useState } from "react";
import type { Loaded } from "./resource";

/** How long what is shown waits for the rest, in milliseconds, so that a service that is away holds nobody up. */
const PATIENCE_MS = 800;

/** Whether everything that decides what stands where has come or failed, or has taken too long: then nothing moves any more. */
export function useArrived(parts: readonly (Loaded<unknown> | undefined)[]): boolean {
  const here = parts.every((part) => part === undefined || part.value !== undefined || part.failure !== undefined);
  // What has once been shown stays, whatever is loaded later.
  const [shown, setShown] = useState(here);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    if (here) setShown(true);
  }, [here]);
  return shown || here;
}
