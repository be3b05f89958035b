import { type PointerEvent, useState } from "react";
import styles from "./Joystick.module.css";

interface JoystickProps {
  /** Where the knob stands, −1 to 1 along each axis. */
  readonly forward: number;
  readonly left: number;
  readonly onMove: (forward: number, left: number) => void;
}

/** A knob in a dish: away from the person is forward. It springs back when it is let go. */
export function Joystick({ forward, left, onMove }: JoystickProps) {
  const [held, setHeld] = useState(false);

  function follow(event: PointerEvent<HTMLButtonElement>) {
    const box = event.currentTarget.getBoundingClientRect();
    const radius = (box.width - KNOB_PX) / 2;
    if (radius <= 0) return;
    const [right, up] = [event.clientX - box.x - box.width / 2, box.y + box.height / 2 - event.clientY];
    const reach = Math.max(radius, Math.hypot(right, up));
    onMove(up / reach, -right / reach);
  }

  function letGo() {
    if (!held) return;
    setHeld(false);
    onMove(0, 0);
  }

  return (
    <button
      type="button"
      className={styles.dish}
      aria-label="Joystick. While it has the focus, the arrow keys move and turn the robot; W, A, S, D, Q and E always do."
      data-held={held || undefined}
      data-testid="joystick"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
        follow(event);
      }}
      onPointerMove={(event) => held && follow(event)}
      onPointerUp={letGo}
      onPointerCancel={letGo}
    >
      <span
        className={styles.knob}
        style={{ translate: `calc(${-left} * var(--reach)) calc(${-forward} * var(--reach))` }}
      />
    </button>
  );
}

/** As in the style sheet. */
const KNOB_PX = 44;
