import { useMemo } from "react";
import { CompareStart } from "./CompareStart";
import { Comparison } from "./Comparison";
import { comparedOf, lanesFrom } from "./lanes";

/** Policies side by side, under the same pushes and commands. */
export function CompareView({ policyIds }: { readonly policyIds: readonly string[] }) {
  const named = comparedOf(policyIds);
  const { ids, leftOut } = useMemo(() => lanesFrom(named.split(",").filter(Boolean)), [named]);
  return ids.length === 0 ? <CompareStart /> : <Comparison ids={ids} leftOut={leftOut} />;
}
