import { type DragEvent, useId, useState } from "react";
import { ALL, useSession } from "../app/session";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice } from "../ui/Notice";
import styles from "./UploadCard.module.css";

/** Where a person drops a robot of their own or a policy that was shared, or chooses its file; leads to what it became. */
export function UploadCard() {
  const { uploader, gallery, environments, policies, policyLists, navigation } = useSession();
  const upload = useStore(uploader.store);
  const [over, setOver] = useState(false);
  const input = useId();
  const busy = upload.status === "sending" || upload.status === "reading";

  async function take(file: File | undefined) {
    const arrival = file && (await uploader.upload(file));
    if (!arrival) return;
    if (arrival.kind === "policy") {
      const { policy } = arrival;
      policies.put(policy.policyId, policy);
      for (const list of [ALL, policy.environmentId]) policyLists.reload(list);
      navigation.go({ policyId: policy.policyId });
      return;
    }
    const { environment } = arrival;
    const environmentId = environment.summary?.environmentId;
    if (!environmentId) return;
    environments.put(environmentId, environment);
    gallery.reload(ALL);
    navigation.go({ environmentId });
  }

  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files[0]);
  }

  return (
    <section
      className={`${styles.card} ${over ? styles.over : ""}`}
      aria-label="Upload a robot or a policy"
      aria-busy={busy}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      data-testid="upload-card"
    >
      <h3>Upload a robot or a policy</h3>
      {busy ? (
        <>
          <p className={styles.text}>
            {upload.status === "sending" ? `Uploading ${upload.fileName}` : `Reading ${upload.fileName}`}
          </p>
          <progress
            className={styles.progress}
            aria-label="Upload"
            {...(upload.status === "sending" ? { value: upload.share } : {})}
          />
        </>
      ) : (
        <>
          <p className={styles.text}>
            An MJCF scene: a zip with its meshes, or one XML file; or a policy that somebody shared, as .tabrl. Drop it
            here. It stays on this machine.
          </p>
          <label className={styles.choose} htmlFor={input}>
            Choose a file
          </label>
          <input
            id={input}
            className="hidden-visually"
            type="file"
            accept=".zip,.xml,.tabrl"
            onChange={(event) => {
              void take(event.target.files?.[0]);
              event.target.value = ""; // the same file may be chosen again once it is mended
            }}
            data-testid="upload-file"
          />
        </>
      )}
      {upload.failure && (
        <div className={styles.failure}>
          <FailureNotice failure={upload.failure} />
          <Button size="small" onClick={uploader.dismiss}>
            Dismiss
          </Button>
        </div>
      )}
    </section>
  );
}
