import { type RefObject, useState } from "react";
import type { SideBySideHandle } from "../player";
import { saveFile } from "../studio/saveFile";
import { useRecording } from "../studio/useRecording";
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
  const [problem, setProblem] = useState("");
  const fail = (thrown: unknown) => {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    setProblem(`This browser could not do it: ${reason}`);
  };
  const recording = useRecording((film) => saveFile(film, "comparison.webm"), fail);
  const films = recording.running;

  function takePicture() {
    setProblem("");
    handle.current?.picture().then((picture) => saveFile(picture, "comparison.png"), fail);
  }

  function start() {
    setProblem("");
    const { current } = handle;
    if (current) recording.start((onLimit) => current.record({ labels, onLimit }));
  }

  return (
    <>
      <Button
        size="small"
        icon={<PictureIcon />}
        aria-label="Save a picture of all"
        title="Save a picture"
        onClick={takePicture}
        data-testid="compare-picture"
      />
      <Button
        size="small"
        className={`${styles.record} ${films ? styles.recording : ""}`}
        icon={films ? <StopIcon /> : <RecordIcon />}
        aria-label={films ? "Stop and save the film" : "Film all robots"}
        title={films ? "Stop and save the film" : "Film"}
        onClick={films ? recording.stop : start}
        data-testid="compare-record"
      >
        {films ? <span className="number">{recording.elapsedSecs} s</span> : "Film"}
      </Button>
      {problem && (
        <p className={styles.problem} role="alert">
          {problem}
        </p>
      )}
    </>
  );
}
