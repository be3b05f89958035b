import { useCommand } from "../stores/commands";
import { useStore } from "../stores/store";
import type { ThemeChoice } from "../stores/theme";
import { DayIcon, NightIcon, SystemIcon } from "../ui/icons";
import { Popover } from "../ui/Popover";
import { useSession } from "./session";
import styles from "./ThemeMenu.module.css";

const CHOICES = [
  { choice: "system", title: "As the system", Icon: SystemIcon },
  { choice: "light", title: "Light", Icon: DayIcon },
  { choice: "dark", title: "Dark", Icon: NightIcon },
] as const;

/** How bright the page is: as the system, or as a person chose. */
export function ThemeMenu() {
  const { theme } = useSession();
  const choice = useStore(theme.choice);
  const { Icon } = CHOICES.find((each) => each.choice === choice) ?? CHOICES[0];
  return (
    <Popover label="Light or dark" face={<Icon />} testId="theme">
      <fieldset className={styles.choices}>
        <legend className="hidden-visually">Light or dark</legend>
        {CHOICES.map(({ choice: each, title, Icon: Face }) => (
          <label key={each}>
            <input type="radio" name="theme" checked={choice === each} onChange={() => theme.choose(each)} />
            <Face />
            <span>{title}</span>
          </label>
        ))}
      </fieldset>
    </Popover>
  );
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
