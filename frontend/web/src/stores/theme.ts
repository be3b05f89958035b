import { keptForGood } from "./kept";
import { createStore, type Store } from "./store";

/** What a person chose; the system decides until they do. */
export type ThemeChoice = "system" | "light" | "dark";

/** How bright the page is. `public/theme.js` carries it out, before the first paint and whenever this or the system changes. */
export interface ThemeSwitch {
  readonly choice: Store<ThemeChoice>;
  choose(choice: ThemeChoice): void;
}

const KEY = "tabrl.theme";

export function createThemeSwitch(): ThemeSwitch {
  const read = (): ThemeChoice => {
    const kept = keptForGood.read(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  };
  const choice = createStore(read());
  // Another tab chose.
  window.addEventListener("storage", () => choice.set(read()));
  return {
    choice,
    choose(chosen) {
      keptForGood.write(KEY, chosen === "system" ? "" : chosen);
      choice.set(chosen);
      window.dispatchEvent(new Event("tabrl-theme"));
    },
  };
}
