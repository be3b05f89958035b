import { type DragEvent, type ReactNode, useId, useState } from "react";
import { Link } from "../app/Link";
import { policyTitle } from "../policies/policyTitle";
import { Button } from "../ui/Button";
import { ImportIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./ImportZone.module.css";
import { RegisterForm } from "./RegisterForm";
import { type Importing, useImport } from "./useImport";

interface ImportZoneProps {
  readonly children: (importing: Importing) => ReactNode;
}

/** A view onto which a shared policy can be dropped anywhere. */
export function ImportZone({ children }: ImportZoneProps) {
  const importing = useImport();
  const [over, setOver] = useState(false);

  const carriesFile = (event: DragEvent) => event.dataTransfer.types.includes("Files");

  return (
    <section
      className={styles.zone}
      aria-label="Policies"
      onDragOver={(event) => {
        if (!carriesFile(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={(event) => {
        if (!carriesFile(event)) return;
        event.preventDefault();
        setOver(false);
        void importing.take(event.dataTransfer.files[0]);
      }}
      data-testid="import-zone"
    >
      {over && (
        <div className={styles.over} aria-hidden="true">
          <p>Drop the .tabrl file to import its policy</p>
        </div>
      )}
      {children(importing)}
    </section>
  );
}

/** Chooses a shared policy's file. */
export function ImportButton({ importing }: { readonly importing: Importing }) {
  const input = useId();
  const busy = importing.upload.status === "sending" || importing.upload.status === "reading";
  return (
    <span className={styles.choose}>
      <input
        id={input}
        className="hidden-visually"
        type="file"
        accept=".tabrl"
        disabled={busy}
        onChange={(event) => {
          void importing.take(event.target.files?.[0]);
          event.target.value = ""; // the same file may be chosen again once it is mended
        }}
        data-testid="import-file"
      />
      <label htmlFor={input}>
        <ImportIcon />
        {busy ? "Importing…" : "Import a policy"}
      </label>
    </span>
  );
}

/** How an import goes, and what became of it. */
export function ImportOutcome({ importing }: { readonly importing: Importing }) {
  const { upload, failure, imported, dismiss } = importing;
  const [naming, setNaming] = useState(false);
  const sending = upload.status === "sending";
  return (
    <div role="status" aria-live="polite" className={styles.outcome}>
      {(sending || upload.status === "reading") && (
        <div className={styles.progress} data-testid="import-progress">
          <p>
            {sending ? "Sending" : "Checking"} {upload.fileName}
          </p>
          <progress aria-label="Import" {...(sending ? { value: upload.share } : {})} />
        </div>
      )}
      {failure && (
        <div className={styles.failure}>
          <FailureNotice failure={failure} onDismiss={dismiss} />
        </div>
      )}
      {imported && (
        <Notice
          tone="info"
          title={`${imported.imported ? "Imported" : "Here already"}: ${policyTitle(imported)}`}
          testId="imported"
          action={
            <span className={styles.actions}>
              <Link to={{ policyId: imported.policyId }} className={styles.link}>
                Play it
              </Link>
              <Button size="small" onClick={() => setNaming(!naming)} aria-expanded={naming}>
                Register as…
              </Button>
              <Button size="small" variant="quiet" onClick={dismiss}>
                Dismiss
              </Button>
            </span>
          }
        >
          <p>
            {imported.imported
              ? "Until it has a name it is among those that are not registered."
              : "It was trained here, so its file brought nothing new."}
          </p>
          {naming && <RegisterForm key={imported.policyId} policy={imported} />}
        </Notice>
      )}
    </div>
  );
}
