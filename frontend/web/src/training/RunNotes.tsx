import { useEffect, useId, useRef, useState } from "react";
import { useSession } from "../app/session";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Failure } from "../rpc/failure";
import { useDraftOver } from "../stores/draft";
import type { RunNotes as Notes } from "../stores/runs";
import fieldStyles from "../ui/Field.module.css";
import { CloseIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./RunNotes.module.css";

/** Bounds of the contract. */
const MAX_TAGS = 20;
const MAX_TAG_CHARS = 50;
const MAX_NOTES_CHARS = 10_000;

/** What people wrote beside a run, changed in place: tags at once, notes when the field is left. */
export function RunNotes({ run }: { readonly run: Run }) {
  const { runs } = useSession();
  const [tag, setTag] = useState("");
  // What is being written outlives the field, which a person may leave by leaving the run.
  const { text, write, discard } = useDraftOver(`run-notes.${run.runId}`, run.notes);
  const newest = useRef(text);
  newest.current = text;
  const [failed, setFailed] = useState<{ readonly change: Notes; readonly failure: Failure }>();
  const id = useId();
  const saving = useRef<Promise<void>>(Promise.resolve());
  const { runId } = run;

  async function save(change: Notes) {
    setFailed(undefined);
    try {
      await runs.annotate(runId, change);
      // What was written on meanwhile stays in the field.
      if (change.notes !== undefined && change.notes === newest.current) discard();
    } catch (thrown) {
      setFailed({ change, failure: thrown as Failure });
    }
  }

  function saveNotes() {
    if (text === run.notes) discard();
    else void save({ notes: text });
  }

  // What was being written when the person left is kept once they are back.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is there when the run is opened
  useEffect(saveNotes, []);

  /** One change of the tags after the other, each of those that stand by then: the service takes them all at once. */
  function changeTags(how: (tags: readonly string[]) => readonly string[]) {
    saving.current = saving.current.then(() =>
      save({ tags: how(runs.records.get().get(runId)?.run.tags ?? run.tags) }),
    );
  }

  function addTag() {
    const added = tag.trim();
    setTag("");
    if (added !== "" && !run.tags.includes(added)) changeTags((tags) => [...new Set([...tags, added])]);
  }

  return (
    <section className={styles.notes} aria-label="Notes and tags" data-testid="run-notes">
      <ul className={styles.tags}>
        {run.tags.map((each) => (
          <li key={each} data-testid="run-tag">
            {each}
            <button
              type="button"
              aria-label={`Take the tag ${each} away`}
              onClick={() => changeTags((tags) => tags.filter((other) => other !== each))}
            >
              <CloseIcon />
            </button>
          </li>
        ))}
        {run.tags.length < MAX_TAGS && (
          <li className={styles.adding}>
            <label htmlFor={`${id}-tag`} className="hidden-visually">
              Add a tag
            </label>
            <input
              id={`${id}-tag`}
              value={tag}
              placeholder="Add a tag"
              maxLength={MAX_TAG_CHARS}
              enterKeyHint="done"
              onChange={(event) => setTag(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
                event.preventDefault();
                addTag();
              }}
              onBlur={addTag}
              data-testid="add-tag"
            />
          </li>
        )}
      </ul>
      <label htmlFor={`${id}-notes`} className="hidden-visually">
        Notes on this run
      </label>
      <textarea
        id={`${id}-notes`}
        className={`${fieldStyles.input} ${styles.text}`}
        value={text}
        rows={1}
        placeholder="Notes on this run"
        maxLength={MAX_NOTES_CHARS}
        onChange={(event) => write(event.target.value)}
        onBlur={saveNotes}
        data-testid="notes"
      />
      {failed && <FailureNotice failure={failed.failure} onRetry={() => void save(failed.change)} />}
    </section>
  );
}
