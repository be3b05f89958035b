/** The registered policies; one of them in full where `name` says which. */
export function RegistryView({ name }: { readonly name: string }) {
  return <h1>{name || "Policies"}</h1>;
}
