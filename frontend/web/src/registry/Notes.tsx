import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useSession } from "../app/session";
import type { PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { FailureNotice } from "../ui/Notice";
import styles from "./Notes.module.css";
import { useAction } from "./useAction";

export const MAX_NOTES_CHARS = 4000;

interface NotesProps {
  readonly name: string;
  readonly version: PolicyVersion;
}

/** What people say of a version, edited where it stands. */
export function Notes({ name, version: { number, notes } }: NotesProps) {
  const { registry } = useSession();
  const [draft, setDraft] = useState<string>();
  const action = useAction();
  const field = useRef<HTMLTextAreaElement>(null);
  const editing = draft !== undefined;

  useEffect(() => {
    if (editing) field.current?.focus();
  }, [editing]);

  async function save(): Promise<void> {
    if (draft === undefined) return;
    if (await action.run(() => registry.writeNotes(name, number, draft.trim()))) setDraft(undefined);
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "Escape") setDraft(undefined);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
  }

  if (!editing) {
    return (
      <button
        type="button"
        className={styles.notes}
        onClick={() => setDraft(notes)}
        aria-label={notes ? `Notes: ${notes}. Edit` : `Add notes to version ${number}`}
        data-testid={`notes-${number}`}
      >
        {notes || <span>Add notes</span>}
      </button>
    );
  }
  return (
    <div className={styles.editor}>
      <textarea
        ref={field}
        className={fieldStyles.input}
        aria-label={`Notes on version ${number}`}
        rows={2}
        maxLength={MAX_NOTES_CHARS}
        value={draft}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={onKeyDown}
        data-testid={`notes-field-${number}`}
      />
      <p className={styles.buttons}>
        <Button size="small" variant="primary" busy={action.busy} onClick={() => void save()} data-testid="save-notes">
          Save
        </Button>
        <Button size="small" variant="quiet" onClick={() => setDraft(undefined)}>
          Leave it as it was
        </Button>
      </p>
      {action.failure && <FailureNotice failure={action.failure} onRetry={() => void save()} />}
    </div>
  );
}
