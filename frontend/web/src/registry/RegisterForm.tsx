import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import type { PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { ALL, useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { FailureNotice } from "../ui/Notice";
import { MAX_NOTES_CHARS } from "./Notes";
import { nameProblem, spelt, suggestedName } from "./naming";
import styles from "./RegisterForm.module.css";
import { useAction } from "./useAction";

/** A version that a policy has become. */
export interface Made {
  readonly name: string;
  readonly version: PolicyVersion;
}

interface RegisterFormProps {
  readonly policy: Policy;
  /** Told where the form goes with its policy, so that the caller says what came of it. */
  readonly onMade?: (made: Made) => void;
}

/** Gives a policy a name, or makes it the next version of one. */
export function RegisterForm({ policy, onMade }: RegisterFormProps) {
  const { gallery, registry } = useSession();
  const { value: catalogue } = useResource(gallery, ALL);
  const names = useResource(registry.lists, policy.environmentId).value?.items ?? [];
  const robot = catalogue?.environments.find((each) => each.environmentId === policy.environmentId)?.robot ?? "";
  const [typed, setTyped] = useState<string>();
  const [notes, setNotes] = useState("");
  const [problem, setProblem] = useState("");
  const { busy, failure, run, dismiss } = useAction();
  const [made, setMade] = useState<Made>();
  const id = useId();
  const nameField = useRef<HTMLInputElement>(null);
  // The form was asked for to type a name.
  useEffect(() => nameField.current?.select(), []);
  const name = typed ?? suggestedName(policy, robot);
  const before = names.find((each) => each.name === name);

  async function register(event: FormEvent): Promise<void> {
    event.preventDefault();
    const wrong = nameProblem(name) ?? "";
    setProblem(wrong);
    if (wrong) return;
    await run(async () => {
      const now = { name, version: await registry.register(name, policy, notes.trim()) };
      setMade(now);
      onMade?.(now);
    });
  }

  if (made) return <RegisteredAs made={made} />;
  return (
    <form className={styles.form} onSubmit={(event) => void register(event)} noValidate data-testid="register-form">
      <div className={styles.field}>
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          ref={nameField}
          id={`${id}-name`}
          className={fieldStyles.input}
          list={`${id}-names`}
          value={name}
          maxLength={80}
          spellCheck={false}
          autoCapitalize="none"
          autoComplete="off"
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-about`}
          onChange={(event) => {
            setTyped(spelt(event.target.value));
            setProblem("");
            dismiss();
          }}
          data-testid="register-name"
        />
        <datalist id={`${id}-names`}>
          {names.map((each) => (
            <option key={each.name} value={each.name} />
          ))}
        </datalist>
        <p id={`${id}-about`} className={problem ? fieldStyles.problem : styles.about}>
          {problem ||
            (!failure &&
              (before
                ? `This becomes the next version after ${before.versions[0]?.number ?? 0}.`
                : "A new name; later policies can become its next versions."))}
        </p>
      </div>
      <div className={styles.field}>
        <label htmlFor={`${id}-notes`}>
          Notes <span>if you like</span>
        </label>
        <input
          id={`${id}-notes`}
          className={fieldStyles.input}
          value={notes}
          maxLength={MAX_NOTES_CHARS}
          placeholder="What is different this time?"
          onChange={(event) => setNotes(event.target.value)}
          data-testid="register-notes"
        />
      </div>
      <Button type="submit" variant="primary" busy={busy} className={styles.submit} data-testid="register">
        {busy ? "Registering…" : "Register"}
      </Button>
      {failure && (
        <div className={styles.failure}>
          <FailureNotice failure={failure} />
        </div>
      )}
    </form>
  );
}

/** What a policy is called from now on, and the way there. */
export function RegisteredAs({ made: { name, version } }: { readonly made: Made }) {
  return (
    <p className={styles.made} role="status" data-testid="registered">
      Registered as{" "}
      <Link to={{ view: "policies", name }}>
        {name}, version {version.number}
      </Link>
    </p>
  );
}
