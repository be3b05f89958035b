import { useEffect, useRef } from "react";
import { CameraHomeIcon, PictureIcon, RecordIcon, StepIcon, StopIcon } from "../ui/icons";
import { SHORTCUTS, type StageAction } from "./keys";
import styles from "./StageMenu.module.css";
import type { Playback } from "./usePlayback";
import type { Recording } from "./useRecording";

export interface StageMenuProps {
  readonly playback: Playback;
  readonly recording: Recording;
  readonly ready: boolean;
  readonly onAction: (action: StageAction) => void;
  readonly onPicture: () => void;
  readonly onRecord: () => void;
  readonly onClose: () => void;
}

/** What is wanted less often: what is drawn beside the robot, pictures and videos. */
export function StageMenu({ playback, recording, ready, onAction, onPicture, onRecord, onClose }: StageMenuProps) {
  const menu = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;

  useEffect(() => {
    const opener = document.activeElement;
    menu.current?.querySelector("input")?.focus({ preventScroll: true });
    const outside = (event: PointerEvent) => {
      // A click on what opened it closes it by itself.
      const bar = menu.current?.parentElement;
      if (event.target instanceof Node && !bar?.contains(event.target)) close.current();
    };
    const onEscape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      close.current();
      if (opener instanceof HTMLElement) opener.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", onEscape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", onEscape);
    };
  }, []);

  const andClose = (act: () => void) => () => {
    act();
    onClose();
  };
  return (
    <div ref={menu} className={styles.menu} data-testid="stage-menu">
      <label className={styles.line}>
        <input
          type="checkbox"
          checked={playback.contacts}
          onChange={(event) => playback.setContacts(event.target.checked)}
          data-testid="contacts"
        />
        <span>
          Contact forces
          <small>Arrows where the robot touches something</small>
        </span>
        <kbd>{SHORTCUTS.contacts}</kbd>
      </label>
      <label className={styles.line}>
        <input
          type="checkbox"
          checked={playback.noise}
          onChange={(event) => playback.setNoise(event.target.checked)}
          data-testid="noise"
        />
        <span>
          Noise, as in training
          <small>What the policy senses is a little wrong, and chance decides what the environment leaves to it</small>
        </span>
      </label>
      <hr />
      <button
        type="button"
        className={`${styles.line} ${styles.narrow}`}
        disabled={!ready}
        onClick={() => onAction("step")}
      >
        <StepIcon />
        <span>One step</span>
      </button>
      <button
        type="button"
        className={`${styles.line} ${styles.narrow}`}
        disabled={!ready}
        onClick={andClose(() => onAction("camera"))}
      >
        <CameraHomeIcon />
        <span>First view</span>
      </button>
      <button
        type="button"
        className={styles.line}
        disabled={!ready}
        onClick={andClose(onPicture)}
        data-testid="save-picture"
      >
        <PictureIcon />
        <span>Save a picture</span>
      </button>
      <button
        type="button"
        className={styles.line}
        disabled={!ready}
        onClick={andClose(recording.running ? recording.stop : onRecord)}
        data-testid="record"
      >
        {recording.running ? <StopIcon /> : <RecordIcon />}
        <span>{recording.running ? "Stop recording" : "Record a video"}</span>
      </button>
    </div>
  );
}
