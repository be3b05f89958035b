/** Whether every word that a person typed occurs in what they look through, whatever its case. */
export function matches(text: string, ...of: readonly (string | undefined)[]): boolean {
  const searched = of.join(" ").toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => searched.includes(word));
}
