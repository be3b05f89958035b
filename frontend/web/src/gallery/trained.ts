import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { useMemo } from "react";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { ALL, useFresh, useResource } from "../stores/resource";

/** What has been done with each environment, by its id. */
export interface Trained {
  /** Those that a policy can drive, with the names that people gave to such policies. */
  readonly policies: ReadonlyMap<string, readonly string[]>;
  /** When there was last a run or a policy, in seconds since 1970. */
  readonly newestSecs: ReadonlyMap<string, number>;
}

export function trainedOf(
  policies: readonly Policy[],
  registered: readonly RegisteredPolicy[],
  runs: readonly Run[],
  others: readonly string[] = [],
): Trained {
  const drivable = new Map<string, string[]>();
  const newestSecs = new Map<string, number>();
  const done = (environmentId: string, time: Timestamp | undefined) => {
    const secs = Number(time?.seconds ?? 0);
    newestSecs.set(environmentId, Math.max(secs, newestSecs.get(environmentId) ?? 0));
  };
  for (const { environmentId, createTime } of policies) {
    if (!drivable.has(environmentId)) drivable.set(environmentId, []);
    done(environmentId, createTime);
  }
  for (const { environmentId, name, updateTime } of registered) {
    drivable.set(environmentId, [...(drivable.get(environmentId) ?? []), name]);
    done(environmentId, updateTime);
  }
  for (const { spec, createTime } of runs) if (spec) done(spec.environmentId, createTime);
  for (const environmentId of others) if (!drivable.has(environmentId)) drivable.set(environmentId, []);
  return { policies: drivable, newestSecs };
}

/** The same from the newest policies, names and runs. One long run fills the first page of policies, so environments of other runs are asked for one by one. */
export function useTrained(): Trained {
  const { policyLists, runLists, registry, drivable } = useSession();
  const policies = useFresh(policyLists, ALL).value?.items;
  const registered = useFresh(registry.lists, ALL).value?.items;
  const runs = useFresh(runLists, ALL).value?.items;
  const unsure = useMemo(() => {
    if (!policies || !runs) return "";
    const sure = new Set(policies.map(({ environmentId }) => environmentId));
    const ran = new Set(runs.map(({ spec }) => spec?.environmentId ?? ""));
    return [...ran]
      .filter((id) => id !== "" && !sure.has(id))
      .sort()
      .join(",");
  }, [policies, runs]);
  const others = useResource(drivable, unsure).value;
  return useMemo(
    () => trainedOf(policies ?? [], registered ?? [], runs ?? [], others),
    [policies, registered, runs, others],
  );
}
