import { useCommand } from "../stores/commands";
import { useStore } from "../stores/store";
import type { ThemeChoice } from "../stores/theme";
import { ThemePicker } from "../ui/ThemePicker";
import { useSession } from "./session";

/** How bright the page is. */
export function ThemeMenu() {
  return <ThemePicker theme={useSession().theme} />;
}

/** The same choices in the palette. */
export function useThemeCommands(): void {
  const { theme } = useSession();
  const choice = useStore(theme.choice);
  const to = (next: ThemeChoice, title: string) => ({
    id: `theme.${next}`,
    title,
    group: "Page",
    keywords: ["theme", "appearance", "colours", "dark", "light"],
    run: () => theme.choose(next),
  });
  useCommand(to("dark", "Dark page"), choice !== "dark");
  useCommand(to("light", "Light page"), choice !== "light");
  useCommand(to("system", "Light or dark as the system"), choice !== "system");
}
