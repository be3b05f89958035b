import type { ReactNode } from "react";
import { CloseIcon } from "../ui/icons";
import styles from "./Drawer.module.css";

interface DrawerProps {
  readonly title: string;
  readonly testId: string;
  readonly children: ReactNode;
  readonly onClose: () => void;
}

/** What stands beside the robot while the person has a hand on it. */
export function Drawer({ title, testId, children, onClose }: DrawerProps) {
  return (
    <aside className={styles.drawer} aria-label={title} data-testid={testId}>
      <div className={styles.head}>
        <h3>{title}</h3>
        <button type="button" aria-label={`Close ${title.toLowerCase()}`} onClick={onClose}>
          <CloseIcon />
        </button>
      </div>
      <div className={styles.body}>{children}</div>
    </aside>
  );
}
