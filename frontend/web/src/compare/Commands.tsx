import type { CommandSpec } from "../player";
import { CommandPad } from "../studio/CommandPad";
import { type Driving, joystickAmong } from "../studio/driving";
import styles from "./Commands.module.css";

interface CommandsProps {
  readonly specs: readonly CommandSpec[];
  readonly driving: Driving;
}

/** What all robots are told to do at once: by the environment as in training, or by hand. */
export function Commands({ specs, driving }: CommandsProps) {
  return (
    <details className={styles.commands} data-testid="compare-commands">
      <summary>Steer all</summary>
      <div className={styles.sheet}>
        <CommandPad specs={specs} joystick={joystickAmong(specs)} driving={driving} gamepad="" />
      </div>
    </details>
  );
}
