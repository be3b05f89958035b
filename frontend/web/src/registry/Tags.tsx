import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { useSession } from "../app/session";
import type { PolicyVersion, RegisteredPolicy, VersionTag } from "../gen/tabrl/exporter/v1/registry_pb";
import { LATEST } from "../stores/registry";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { CloseIcon, RestartIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { spelt, tagProblem } from "./naming";
import styles from "./Tags.module.css";
import { type Action, useAction } from "./useAction";

interface TagsProps {
  readonly registered: RegisteredPolicy;
  readonly versions: readonly PolicyVersion[];
}

/** The tags of a name: words such as `stable` that stand for one version, and can be moved to another. */
export function Tags({ registered, versions }: TagsProps) {
  const { deletions } = useSession();
  const action = useAction();
  const gone = useStore(deletions.gone);
  const failures = useStore(deletions.failures);
  const [adding, setAdding] = useState(false);
  const { name } = registered;
  const tags = registered.tags.filter(({ tag }) => !gone.has(tagKey(name, tag)));
  return (
    <div className={styles.tags} data-testid="tags">
      <ul className={styles.list} aria-label="Tags">
        {tags.map((tag) => (
          <li key={tag.tag}>
            {tag.tag === LATEST ? (
              <span className={`${styles.chip} ${styles.fixed}`} title="Always the newest version">
                {LATEST} <span className="number">version {tag.number}</span>
              </span>
            ) : (
              <TagChip name={name} tag={tag} versions={versions} action={action} />
            )}
          </li>
        ))}
        <li>
          <Button
            size="small"
            variant="quiet"
            onClick={() => setAdding(!adding)}
            aria-expanded={adding}
            disabled={versions.length === 0}
            data-testid="add-tag"
          >
            Add a tag
          </Button>
        </li>
      </ul>
      {adding && <NewTag name={name} versions={versions} action={action} onDone={() => setAdding(false)} />}
      {action.failure && <FailureNotice failure={action.failure} onDismiss={action.dismiss} />}
      {registered.tags.map(({ tag }) => {
        const failure = failures.get(tagKey(name, tag));
        const dismiss = () => deletions.dismiss(tagKey(name, tag));
        return failure && <FailureNotice key={tag} failure={failure} onDismiss={dismiss} />;
      })}
    </div>
  );
}

interface TagChipProps {
  readonly name: string;
  readonly tag: VersionTag;
  readonly versions: readonly PolicyVersion[];
  readonly action: Action;
}

function TagChip({ name, tag: { tag, number, earlier }, versions, action }: TagChipProps) {
  const { registry, deletions } = useSession();
  const before = earlier[0];
  const remove = () => deletions.offer(tagKey(name, tag), `Tag ${tag} deleted`, () => registry.deleteTag(name, tag));
  return (
    <span className={styles.chip} data-testid={`tag-${tag}`}>
      <span className={styles.word} title={tag}>
        {tag}
      </span>
      <select
        className={styles.version}
        aria-label={`Version that ${tag} stands for`}
        value={number}
        disabled={action.busy}
        onChange={(event) => void action.run(() => registry.setTag(name, tag, Number(event.target.value)))}
      >
        {!versions.some((each) => each.number === number) && <option value={number}>version {number}</option>}
        {versions.map((each) => (
          <option key={each.number} value={each.number}>
            version {each.number}
          </option>
        ))}
      </select>
      {before !== undefined && (
        <button
          type="button"
          className={styles.icon}
          disabled={action.busy}
          aria-label={`Move ${tag} back to version ${before}`}
          title={`Back to version ${before}`}
          onClick={() => void action.run(() => registry.rollBackTag(name, tag, number))}
          data-testid={`roll-back-${tag}`}
        >
          <RestartIcon />
        </button>
      )}
      <button
        type="button"
        className={styles.icon}
        aria-label={`Delete the tag ${tag}`}
        title="Delete the tag"
        onClick={remove}
        data-testid={`delete-tag-${tag}`}
      >
        <CloseIcon />
      </button>
    </span>
  );
}

interface NewTagProps {
  readonly name: string;
  readonly versions: readonly PolicyVersion[];
  readonly action: Action;
  readonly onDone: () => void;
}

function NewTag({ name, versions, action, onDone }: NewTagProps) {
  const { registry, deletions } = useSession();
  const [tag, setTag] = useState("");
  const [number, setNumber] = useState(versions[0]?.number ?? 0);
  const [problem, setProblem] = useState("");
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  // The form was asked for to type a tag.
  useEffect(() => field.current?.focus(), []);

  async function add(event: FormEvent): Promise<void> {
    event.preventDefault();
    const wrong = tagProblem(tag) ?? "";
    setProblem(wrong);
    if (wrong) return;
    // A tag of that name which is about to be deleted would take the new one along.
    deletions.withdraw(tagKey(name, tag));
    if (await action.run(() => registry.setTag(name, tag, number))) onDone();
  }

  return (
    <form className={styles.form} onSubmit={(event) => void add(event)} noValidate>
      <label htmlFor={`${id}-tag`}>Tag</label>
      <input
        ref={field}
        id={`${id}-tag`}
        className={fieldStyles.input}
        value={tag}
        maxLength={40}
        placeholder="stable"
        spellCheck={false}
        autoCapitalize="none"
        aria-invalid={problem !== ""}
        aria-describedby={`${id}-problem`}
        onChange={(event) => {
          setTag(spelt(event.target.value));
          setProblem("");
        }}
        data-testid="new-tag"
      />
      <label htmlFor={`${id}-version`}>for</label>
      <select
        id={`${id}-version`}
        className={fieldStyles.input}
        value={number}
        onChange={(event) => setNumber(Number(event.target.value))}
        data-testid="new-tag-version"
      >
        {versions.map((each) => (
          <option key={each.number} value={each.number}>
            version {each.number}
          </option>
        ))}
      </select>
      <Button type="submit" variant="primary" busy={action.busy} data-testid="set-tag">
        Set
      </Button>
      <p id={`${id}-problem`} className={fieldStyles.problem} role="alert">
        {problem}
      </p>
    </form>
  );
}

function tagKey(name: string, tag: string): string {
  return `${name}#${tag}`;
}
