import { useEffect, useRef, useState } from "react";
import { useSession } from "../app/session";
import { ALL, useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { CloseIcon } from "../ui/icons";
import { MOST_LANES } from "./lanes";
import { CheckpointOffers, type OfferedProps, PolicyOffers, VersionOffers } from "./Offers";
import styles from "./PolicyPicker.module.css";
import type { Present } from "./pickable";

const KINDS = [
  ["runs", "Runs"],
  ["registered", "Registered"],
  ["policies", "All policies"],
] as const;

interface PolicyPickerProps {
  readonly present: Present;
  readonly onPick: (policyId: string) => void;
  readonly onClose: () => void;
}

/** A drawer with everything that can be compared, and why something cannot. It stays open, so that several can be chosen. */
export function PolicyPicker({ present, onPick, onClose }: PolicyPickerProps) {
  const { gallery, policyLists, registry, runLists } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [kind, setKind] = useState<(typeof KINDS)[number][0]>("runs");
  const [text, setText] = useState("");
  const environments = useResource(gallery, ALL).value?.environments ?? [];
  const { environmentId } = present;

  // Lists of the one environment are not crowded out by others' newer policies.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is there when the drawer opens
  useEffect(() => {
    dialog.current?.showModal();
    for (const lists of [runLists, policyLists, registry.lists]) {
      for (const key of new Set([environmentId || ALL, ALL])) lists.refresh(key);
    }
  }, []);

  const offered: OfferedProps = { present, environments, text, onPick };
  return (
    <dialog
      ref={dialog}
      className={styles.drawer}
      aria-label="Choose policies to compare"
      onClose={onClose}
      onPointerDown={(event) => event.target === dialog.current && dialog.current.close()}
      data-testid="picker"
    >
      <div className={styles.inside}>
        <div className={styles.bar}>
          <p>
            <strong>Choose policies</strong>{" "}
            <span className="number" aria-live="polite">
              {present.ids.length} of {MOST_LANES}
            </span>
          </p>
          <Button variant="secondary" size="small" icon={<CloseIcon />} onClick={() => dialog.current?.close()}>
            Done
          </Button>
        </div>
        <div className={styles.kinds}>
          {KINDS.map(([value, title]) => (
            <button
              key={value}
              type="button"
              aria-pressed={kind === value}
              onClick={() => setKind(value)}
              data-testid={`pick-${value}`}
            >
              {title}
            </button>
          ))}
        </div>
        <input
          className={fieldStyles.input}
          type="search"
          placeholder="Search: walk, cartpole…"
          aria-label="Search"
          value={text}
          onChange={(event) => setText(event.target.value)}
          data-testid="pick-search"
        />
        {kind === "runs" && <CheckpointOffers {...offered} />}
        {kind === "registered" && <VersionOffers {...offered} />}
        {kind === "policies" && <PolicyOffers {...offered} />}
      </div>
    </dialog>
  );
}
