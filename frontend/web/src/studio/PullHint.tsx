import { useEffect, useState } from "react";
import type { PlayerTick } from "../player";
import type { Store } from "../stores/store";
import { CloseIcon } from "../ui/icons";
import styles from "./PullHint.module.css";

const KEY = "tabrl.pull-hint";

/** Says that the robot can be pulled, until it was pulled once or the person has read it. */
export function PullHint({ ticks }: { readonly ticks: Store<PlayerTick | undefined> }) {
  const [known, setKnown] = useState(wasSeen);

  useEffect(() => {
    if (known) return;
    return ticks.subscribe(() => {
      if (ticks.get()?.grabbed) setKnown(true);
    });
  }, [ticks, known]);

  useEffect(() => {
    if (known) rememberSeen();
  }, [known]);

  if (known) return null;
  return (
    <p className={styles.hint} data-testid="pull-hint">
      Drag the robot to pull it
      <button type="button" aria-label="Hide this hint" onClick={() => setKnown(true)}>
        <CloseIcon />
      </button>
    </p>
  );
}

function wasSeen(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    // A browser that keeps nothing shows the hint each time.
    return false;
  }
}

function rememberSeen(): void {
  try {
    localStorage.setItem(KEY, "seen");
  } catch {
    // As above.
  }
}
