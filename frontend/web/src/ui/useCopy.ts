import { useEffect, useState } from "react";

/** How long it is said what came of copying, in milliseconds. */
const SAID_MS = 2_000;

/** Puts texts on the clipboard, and says for a moment what came of the last: browsers allow it only on pages they trust. */
export function useCopy(): { readonly outcome: "" | "copied" | "refused"; copy(text: string): Promise<void> } {
  const [said, setSaid] = useState<{ readonly outcome: "copied" | "refused" }>();
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(undefined), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return {
    outcome: said?.outcome ?? "",
    async copy(text) {
      try {
        await navigator.clipboard.writeText(text);
        setSaid({ outcome: "copied" });
      } catch {
        setSaid({ outcome: "refused" });
      }
    },
  };
}
