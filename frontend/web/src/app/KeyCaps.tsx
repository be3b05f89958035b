import styles from "./KeyCaps.module.css";
import { keyNames } from "./keys";

/** The keys of a shortcut, drawn as keys. */
export function KeyCaps({ shortcut }: { readonly shortcut: string }) {
  return (
    <span className={styles.keys}>
      {keyNames(shortcut).map((name) => (
        <kbd key={name}>{name}</kbd>
      ))}
    </span>
  );
}
