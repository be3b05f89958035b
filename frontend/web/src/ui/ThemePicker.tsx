import { useStore } from "../stores/store";
import type { ThemeSwitch } from "../stores/theme";
import { DayIcon, NightIcon, SystemIcon } from "./icons";
import { Popover } from "./Popover";
import styles from "./ThemePicker.module.css";

const CHOICES = [
  { choice: "system", title: "As the system", Icon: SystemIcon },
  { choice: "light", title: "Light", Icon: DayIcon },
  { choice: "dark", title: "Dark", Icon: NightIcon },
] as const;

/** How bright the page is: as the system, or as a person chose. */
export function ThemePicker({ theme }: { readonly theme: ThemeSwitch }) {
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
