import { type RefObject, useEffect, useRef, useState } from "react";
import type { SideBySideHandle } from "../player";
import { saveFile } from "../studio/saveFile";
import { Button } from "../ui/Button";
import { PictureIcon, RecordIcon, StopIcon } from "../ui/icons";
import styles from "./Capture.module.css";

interface CaptureProps {
  readonly handle: RefObject<SideBySideHandle | null>;
  /** What is written over the robots in a film. */
  readonly labels: readonly string[];
}

/** A picture or a film of all robots together, for the downloads folder. */
export function Capture({ handle, labels }: CaptureProps) {
  const recording = useRef<ReturnType<SideBySideHandle["record"]>>(undefined);
  const [secs, setSecs] = useState<number>();
  const [problem, setProblem] = useState("");
  const films = secs !== undefined;

  useEffect(() => {
    if (!films) return;
    const timer = setInterval(() => setSecs((before) => (before ?? 0) + 1), 1000);
    return () => clearInterval(timer);
  }, [films]);
  // A film that nobody waits for any more is thrown away.
  useEffect(() => () => void recording.current?.stop().catch(() => undefined), []);

  async function attempt(work: () => Promise<void>) {
    setProblem("");
    try {
      await work();
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      setProblem(`This browser could not do it: ${reason}`);
    }
  }

  const start = () =>
    attempt(async () => {
      recording.current = handle.current?.record(labels);
      if (recording.current) setSecs(0);
    });
  const stop = () =>
    attempt(async () => {
      const film = recording.current;
      recording.current = undefined;
      setSecs(undefined);
      if (film) saveFile(await film.stop(), "comparison.webm");
    });

  return (
    <>
      <Button
        size="small"
        icon={<PictureIcon />}
        aria-label="Save a picture of all"
        title="Save a picture"
        onClick={() =>
          attempt(async () => {
            if (handle.current) saveFile(await handle.current.picture(), "comparison.png");
          })
        }
        data-testid="compare-picture"
      />
      <Button
        size="small"
        className={`${styles.record} ${films ? styles.recording : ""}`}
        icon={films ? <StopIcon /> : <RecordIcon />}
        aria-label={films ? "Stop and save the film" : "Film all robots"}
        title={films ? "Stop and save the film" : "Film"}
        onClick={films ? stop : start}
        data-testid="compare-record"
      >
        {films ? <span className="number">{secs} s</span> : "Film"}
      </Button>
      {problem && (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
