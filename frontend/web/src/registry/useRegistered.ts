import { useEffect, useSyncExternalStore } from "react";
import { useSession } from "../app/session";
import type { RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";

/** How many names are read in full at once. */
const AT_ONCE = 4;

/**
 * Ids of the policies that are known to have a name. A list of names tells only the newest version of each, so each is read in
 * full, a few at a time.
 */
export function useRegistered(names: readonly RegisteredPolicy[] | undefined): ReadonlySet<string> {
  const { registry } = useSession();

  // As text, which is the same for as long as nothing changed.
  const read = useSyncExternalStore(registry.names.subscribe, () =>
    (names ?? [])
      .map(({ name }) => {
        const { value, failure } = registry.names.get(name);
        return value ? value.versions.map(({ policy }) => policy?.policyId ?? "").join() : failure ? "" : WAITS;
      })
      .join("\n"),
  );

  useEffect(() => {
    const waiting = names?.filter((_, index) => read.split("\n")[index] === WAITS) ?? [];
    for (const { name } of waiting.slice(0, AT_ONCE)) registry.names.ensure(name);
  }, [registry, names, read]);

  const listed = names?.flatMap(({ versions }) => versions.map(({ policy }) => policy?.policyId ?? "")) ?? [];
  return new Set([...listed, ...read.split(/[\n,]/)]);
}

/** Stands for a name that is not read yet; no policy's id. */
const WAITS = "…";
