import type { RefObject } from "react";
import type { SideBySideHandle } from "../player";
import { SHORTCUTS, type StageAction } from "../studio/keys";
import type { PushWay } from "../studio/pushing";
import { SpeedChoice } from "../studio/SpeedChoice";
import type { Playback } from "../studio/usePlayback";
import { Button } from "../ui/Button";
import { CameraHomeIcon, PauseIcon, PlayIcon, RestartIcon, StepIcon } from "../ui/icons";
import { Capture } from "./Capture";
import { Commands } from "./Commands";
import { Pushes } from "./Pushes";
import styles from "./Transport.module.css";

interface TransportProps {
  readonly handle: RefObject<SideBySideHandle | null>;
  readonly playback: Playback;
  readonly onAction: (action: StageAction) => void;
  readonly strength: number;
  readonly onStrength: (strength: number) => void;
  readonly onPush: (way: PushWay) => void;
  /** What the robots are called in a film. */
  readonly labels: readonly string[];
  /** What the policies can be told to do. */
  readonly steering: React.ComponentProps<typeof Commands>;
}

/** What moves all robots at once. */
export function Transport(props: TransportProps) {
  const { handle, playback, onAction, strength, onStrength, onPush, labels, steering } = props;
  const { playing, contacts } = playback;
  const does = (action: StageAction, title: string) => ({
    size: "small" as const,
    "aria-keyshortcuts": SHORTCUTS[action],
    title: `${title} (${SHORTCUTS[action]})`,
    onClick: () => onAction(action),
  });
  return (
    <section className={styles.transport} aria-label="Controls of all robots" data-testid="transport">
      <div className={styles.group}>
        <Button
          {...does("play", playing ? "Pause" : "Play")}
          icon={playing ? <PauseIcon /> : <PlayIcon />}
          aria-label={playing ? "Pause all" : "Play all"}
          data-testid="compare-play"
        />
        <Button
          {...does("step", playing ? "One step (pauses)" : "One step")}
          icon={<StepIcon />}
          aria-label="One step of all"
          data-testid="compare-step"
        />
        <Button
          {...does("episode", "Start all anew")}
          icon={<RestartIcon />}
          aria-label="Start all anew"
          data-testid="compare-reset"
        />
        <SpeedChoice playback={playback} className={styles.speed} testId="compare-speed" />
      </div>
      <Pushes strength={strength} onStrength={onStrength} onPush={onPush} />
      {steering.specs.length > 0 && <Commands {...steering} />}
      <div className={styles.group}>
        <label className={styles.check} title={`Contacts (${SHORTCUTS.contacts})`}>
          <input
            type="checkbox"
            checked={contacts}
            onChange={(event) => playback.setContacts(event.target.checked)}
            data-testid="compare-contacts"
          />
          Contacts
        </label>
        <Button
          {...does("camera", "First view")}
          icon={<CameraHomeIcon />}
          aria-label="First view of all"
          data-testid="compare-camera"
        />
        <Capture handle={handle} labels={labels} />
      </div>
    </section>
  );
}
