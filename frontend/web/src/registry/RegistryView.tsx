import { ImportOutcome, ImportZone } from "./ImportZone";
import { NameList } from "./NameList";
import { NameView } from "./NameView";
import styles from "./RegistryView.module.css";

/** The registered policies; one of them in full where `name` says which. */
export function RegistryView({ name }: { readonly name: string }) {
  return (
    <ImportZone>
      {(importing) => (
        <div className={styles.view}>
          {name && <ImportOutcome importing={importing} />}
          {name ? <NameView key={name} name={name} /> : <NameList importing={importing} />}
        </div>
      )}
    </ImportZone>
  );
}
