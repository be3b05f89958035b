import { useMemo, useState } from "react";
import { useSession } from "../app/session";
import { CompareStart } from "./CompareStart";
import { Comparison } from "./Comparison";
import { comparedOf, lanesFrom, withLane } from "./lanes";
import { PolicyPicker } from "./PolicyPicker";
import { useComparison } from "./useComparison";

/** Policies side by side, under the same pushes and commands. */
export function CompareView({ policyIds }: { readonly policyIds: readonly string[] }) {
  const { navigation } = useSession();
  const named = comparedOf(policyIds);
  const { ids, leftOut } = useMemo(() => lanesFrom(named.split(",").filter(Boolean)), [named]);
  const comparison = useComparison(ids);
  const [picking, setPicking] = useState(false);
  const pick = () => setPicking(true);

  return (
    <>
      {ids.length === 0 ? (
        <CompareStart onPick={pick} />
      ) : (
        <Comparison comparison={comparison} ids={ids} leftOut={leftOut} onPick={pick} />
      )}
      {/* Here, as it stays open when the first one is chosen. */}
      {picking && (
        <PolicyPicker
          present={{ ids, environmentId: comparison.environmentId }}
          onPick={(policyId) =>
            ids.length === 0
              ? navigation.go({ view: "compare", compared: policyId })
              : comparison.change(withLane(ids, policyId))
          }
          onClose={() => setPicking(false)}
        />
      )}
    </>
  );
}
