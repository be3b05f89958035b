import { useEffect } from "react";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { useSession } from "./session";
import styles from "./UndoToast.module.css";

/** Says what was just deleted, for as long as it can be taken back. */
export function UndoToast() {
  const { undo } = useSession();
  const pending = useStore(undo.pending);

  useEffect(() => {
    window.addEventListener("pagehide", undo.settle);
    return () => window.removeEventListener("pagehide", undo.settle);
  }, [undo]);

  return (
    <div className={styles.place} role="status" aria-live="polite">
      {pending && (
        <div key={pending.number} className={styles.toast} data-testid="undo-toast">
          <span>{pending.text}</span>
          <Button size="small" onClick={undo.takeBack} data-testid="undo">
            Undo
          </Button>
        </div>
      )}
    </div>
  );
}
