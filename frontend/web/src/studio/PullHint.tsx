import { useEffect, useState } from "react";
import type { PlayerTick } from "../player";
import { keptForGood } from "../stores/kept";
import type { Store } from "../stores/store";
import { CloseIcon } from "../ui/icons";
import styles from "./PullHint.module.css";

const KEY = "tabrl.pull-hint";

/** Says that the robot can be pulled, until it was pulled once or the person has read it. */
export function PullHint({ ticks }: { readonly ticks: Store<PlayerTick | undefined> }) {
  const [known, setKnown] = useState(() => keptForGood.read(KEY) !== "");

  useEffect(() => {
    if (known) return;
    return ticks.subscribe(() => {
      if (ticks.get()?.grabbed) setKnown(true);
    });
  }, [ticks, known]);

  useEffect(() => {
    if (known) keptForGood.write(KEY, "seen");
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
