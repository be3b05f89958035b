import { useSyncExternalStore } from "react";
import type { Theme } from "./stage/stage";

const prefersDark = "(prefers-color-scheme: dark)";

/** The page's theme: `chosen` where given, else `data-theme` of the document, else what the system prefers. */
export function useTheme(chosen?: Theme): Theme {
  const present = useSyncExternalStore(subscribe, readTheme);
  return chosen ?? present;
}

function readTheme(): Theme {
  const { theme } = document.documentElement.dataset;
  if (theme === "light" || theme === "dark") return theme;
  return matchMedia(prefersDark).matches ? "dark" : "light";
}

function subscribe(onChange: () => void): () => void {
  const query = matchMedia(prefersDark);
  query.addEventListener("change", onChange);
  const observer = new MutationObserver(onChange);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    query.removeEventListener("change", onChange);
    observer.disconnect();
  };
}
