/** Policies side by side, under the same pushes and commands. */
export function CompareView({ policyIds }: { readonly policyIds: readonly string[] }) {
  return <h1>{policyIds.length > 0 ? `${policyIds.length} policies compared` : "Compare policies"}</h1>;
}
