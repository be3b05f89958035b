import type { RefObject } from "react";
import type { CommandSpec, SideBySideHandle } from "../player";
import type { Driving } from "../studio/driving";
import { Button } from "../ui/Button";
import { PauseIcon, PlayIcon, RestartIcon, StepIcon } from "../ui/icons";
import { Capture } from "./Capture";
import { Commands } from "./Commands";
import { Pushes } from "./Pushes";
import styles from "./Transport.module.css";

const SPEEDS = [0.25, 0.5, 1, 2];

interface TransportProps {
  readonly handle: RefObject<SideBySideHandle | null>;
  readonly playing: boolean;
  readonly onPlaying: (playing: boolean) => void;
  readonly speed: number;
  readonly onSpeed: (speed: number) => void;
  readonly contacts: boolean;
  readonly onContacts: (shown: boolean) => void;
  /** What the policies can be told to do. */
  readonly specs: readonly CommandSpec[];
  readonly driving: Driving;
}

/** What moves all robots at once. */
export function Transport(props: TransportProps) {
  const { handle, playing, onPlaying, speed, onSpeed, contacts, onContacts, specs, driving } = props;
  return (
    <section className={styles.transport} aria-label="Controls of all robots" data-testid="transport">
      <div className={styles.group}>
        <Button
          size="small"
          icon={playing ? <PauseIcon /> : <PlayIcon />}
          aria-label={playing ? "Pause all" : "Play all"}
          title={playing ? "Pause" : "Play"}
          onClick={() => onPlaying(!playing)}
          data-testid="compare-play"
        />
        <Button
          size="small"
          icon={<StepIcon />}
          aria-label="One step of all"
          title="One step"
          onClick={() => {
            onPlaying(false);
            handle.current?.stepOnce();
          }}
          data-testid="compare-step"
        />
        <Button
          size="small"
          icon={<RestartIcon />}
          aria-label="Start all anew"
          title="Start all anew"
          onClick={() => handle.current?.reset()}
          data-testid="compare-reset"
        />
        <label className={styles.speed}>
          <span className="hidden-visually">Speed</span>
          <select value={speed} onChange={(event) => onSpeed(Number(event.target.value))} data-testid="compare-speed">
            {SPEEDS.map((value) => (
              <option key={value} value={value}>
                {value}×
              </option>
            ))}
          </select>
        </label>
      </div>
      <Pushes onPush={(direction, strength) => handle.current?.shove(direction, strength)} />
      {specs.length > 0 && <Commands specs={specs} driving={driving} />}
      <div className={styles.group}>
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={contacts}
            onChange={(event) => onContacts(event.target.checked)}
            data-testid="compare-contacts"
          />
          Contacts
        </label>
        <Capture handle={handle} />
      </div>
    </section>
  );
}
