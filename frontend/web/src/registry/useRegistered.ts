import { useEffect, useSyncExternalStore } from "react";
import { useSession } from "../app/session";
import type { RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";

/** How many names are read in full to learn which policies they hold. */
const MOST_READ = 40;

/** Ids of the policies that are known to have a name. A list of names tells only the newest version of each, so each is read in full. */
export function useRegistered(names: readonly RegisteredPolicy[] | undefined): ReadonlySet<string> {
  const { registry } = useSession();

  useEffect(() => {
    for (const { name } of names?.slice(0, MOST_READ) ?? []) registry.names.ensure(name);
  }, [registry, names]);

  const ids = useSyncExternalStore(registry.names.subscribe, () =>
    (names ?? [])
      .flatMap((each) => [...each.versions, ...(registry.names.get(each.name).value?.versions ?? [])])
      .map(({ policy }) => policy?.policyId ?? "")
      .join(),
  );
  return new Set(ids.split(","));
}
