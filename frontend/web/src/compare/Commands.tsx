import type { CommandSpec } from "../player";
import { CommandPad } from "../studio/CommandPad";
import { type Driving, joystickAmong } from "../studio/driving";
import styles from "./Commands.module.css";

interface CommandsProps {
  readonly specs: readonly CommandSpec[];
  readonly driving: Driving;
  /** The gamepad in use; empty for none. */
  readonly gamepad: string;
}

/** What all robots are told to do at once: by the environment as in training, or by hand. */
export function Commands({ specs, driving, gamepad }: CommandsProps) {
  return (
    <details className={styles.commands} data-testid="compare-commands">
      <summary>Steer all</summary>
      <div className={styles.sheet}>
        <CommandPad specs={specs} joystick={joystickAmong(specs)} driving={driving} gamepad={gamepad} />
      </div>
    </details>
  );
}
