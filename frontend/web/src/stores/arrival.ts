import { useEffect, useState } from "react";
import type { Loaded } from "./resource";

/** How long what is shown waits for the rest, in milliseconds, so that a service that is away holds nobody up. */
const PATIENCE_MS = 800;

/** Whether everything that decides what stands where has come or failed, or has taken too long: then nothing moves any more. */
export function useArrived(parts: readonly (Loaded<unknown> | undefined)[]): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  const here = parts.every((part) => part === undefined || part.value !== undefined || part.failure !== undefined);
  // What has once been shown stays, whatever is loaded later.
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (here) setShown(true);
  }, [here]);
  return late || shown || here;
}
