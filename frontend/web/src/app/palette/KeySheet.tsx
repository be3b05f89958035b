import { useStore } from "../../stores/store";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { CloseIcon } from "../../ui/icons";
import { KeyCaps } from "../KeyCaps";
import { useSession } from "../session";
import styles from "./KeySheet.module.css";

/** Every key that does something at present. */
export function KeySheet({ onClose }: { readonly onClose: () => void }) {
  const { commands } = useSession();
  const keyed = useStore(commands.store).flatMap(({ id, title, group, shortcut }) =>
    shortcut ? [{ id, title, group, shortcut }] : [],
  );
  const groups = [...new Set(keyed.map(({ group }) => group))];
  return (
    <Dialog label="Keys" onClose={onClose} testId="key-sheet">
      <div className={styles.head}>
        <h2>Keys</h2>
        <Button variant="quiet" size="small" icon={<CloseIcon />} aria-label="Close" onClick={onClose} />
      </div>
      <div className={styles.groups}>
        {groups.map((group) => (
          <section key={group} aria-label={group}>
            <h3>{group}</h3>
            <dl>
              {keyed
                .filter((each) => each.group === group)
                .map(({ id, title, shortcut }) => (
                  <div key={id}>
                    <dt>{title}</dt>
                    <dd>
                      <KeyCaps shortcut={shortcut} />
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
      <p className={styles.note}>Keys rest while you type. What they do depends on what is open.</p>
    </Dialog>
  );
}
