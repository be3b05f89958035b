import { useEffect, useId, useRef } from "react";
import { useSession } from "../app/session";
import { useCommand } from "../stores/commands";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { bringIntoView } from "../ui/bringIntoView";
import { FailureNotice } from "../ui/Notice";
import styles from "./UploadCard.module.css";
import { useTake } from "./useTake";

/** Where a person brings a robot of their own or a policy that was shared; says how that goes. Files may be dropped anywhere in the gallery. */
export function UploadCard() {
  const { uploader } = useSession();
  const upload = useStore(uploader.store);
  const card = useRef<HTMLElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const input = useId();
  const take = useTake();
  const busy = upload.status === "sending" || upload.status === "reading";
  const { status } = upload;

  // What was dropped elsewhere goes on here.
  useEffect(() => {
    if (status !== "idle") bringIntoView(card.current);
  }, [status]);

  useCommand({
    id: "gallery.upload",
    title: "Upload a robot or a policy",
    group: "Robots",
    keywords: ["mjcf", "xml", "zip", "menagerie", "tabrl", "import", "own"],
    run: () => file.current?.click(),
  });

  return (
    <section
      ref={card}
      className={styles.card}
      aria-label="Upload a robot or a policy"
      aria-busy={busy}
      data-testid="upload-card"
    >
      <h3>Bring your own</h3>
      {busy ? (
        <div className={styles.busy} role="status">
          <p className={styles.text}>
            {upload.status === "sending" ? `Uploading ${upload.fileName}` : `Reading ${upload.fileName}`}
          </p>
          <progress
            className={styles.progress}
            aria-label="Upload"
            {...(upload.status === "sending" ? { value: upload.share } : {})}
          />
        </div>
      ) : (
        <>
          <p className={styles.text}>
            Drop a robot anywhere on this page: a zip with its MJCF file and meshes, or one XML file. A policy that
            somebody shared works too, as .tabrl.
          </p>
          <label className={styles.choose} htmlFor={input}>
            Choose a file
          </label>
          <input
            ref={file}
            id={input}
            className="hidden-visually"
            type="file"
            accept=".zip,.xml,.tabrl"
            onChange={(event) => {
              void take(event.target.files);
              // The same file may be chosen again once it is mended.
              event.target.value = "";
            }}
            data-testid="upload-file"
          />
          <details className={styles.more}>
            <summary>Robots from MuJoCo Menagerie</summary>
            <p>
              Some stand below the others, ready to be chosen. Of the rest, zip a robot’s folder and drop it, or let the
              terminal fetch it: <code>tabrl upload anybotics_anymal_c --menagerie</code>
            </p>
          </details>
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
