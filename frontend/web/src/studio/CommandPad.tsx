import { formatFixed, formatName } from "../format/format";
import type { CommandElement, CommandSpec } from "../player";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { Slider } from "../ui/Slider";
import styles from "./CommandPad.module.css";
import {
  commandFor,
  type Driving,
  type Joystick as JoystickCommand,
  STILL,
  type Steering,
  steeringOf,
} from "./driving";
import { Joystick } from "./Joystick";

interface CommandPadProps {
  readonly specs: readonly CommandSpec[];
  readonly joystick: JoystickCommand | undefined;
  readonly driving: Driving;
  /** The gamepad in use; empty for none. */
  readonly gamepad: string;
}

/** Tells the robot where to go, in place of the environment, which otherwise draws commands by chance. */
export function CommandPad({ specs, joystick, driving, gamepad }: CommandPadProps) {
  const held = useStore(driving.held);
  const others = specs.filter(({ field }) => field !== joystick?.field);
  return (
    <>
      {joystick && <Stick joystick={joystick} driving={driving} values={held?.[joystick.field]} />}
      {others.map(({ field, elements }) => (
        <div key={field}>
          {elements.map((element, index) => (
            <ElementSlider
              key={element.name}
              element={element}
              value={held?.[field]?.[index]}
              onChange={(value) => {
                const values = held?.[field] ?? elements.map(middle);
                driving.hold(
                  field,
                  values.map((before, place) => (place === index ? value : before)),
                );
              }}
            />
          ))}
        </div>
      ))}
      <div className={styles.foot}>
        <p role="status">
          {held ? "You decide." : "The environment decides, and changes its mind now and then."}
          {gamepad && <span className={styles.gamepad}> Gamepad connected.</span>}
        </p>
        <Button size="small" disabled={!held} onClick={driving.letGo} data-testid="let-environment-decide">
          Let the environment decide
        </Button>
      </div>
    </>
  );
}

interface StickProps {
  readonly joystick: JoystickCommand;
  readonly driving: Driving;
  readonly values: readonly number[] | undefined;
}

function Stick({ joystick, driving, values }: StickProps) {
  const steering = values ? steeringOf(joystick, values) : STILL;
  const steer = (change: Partial<Steering>) =>
    driving.hold(joystick.field, commandFor(joystick, { ...steering, ...change }));
  const turning = joystick.elements[joystick.places.turn];
  return (
    <div className={styles.stick}>
      <Joystick {...steering} onMove={(forward, left) => steer({ forward, left })} />
      <dl className={styles.held} data-testid="held-command">
        {joystick.elements.map((element, index) => (
          <div key={element.name}>
            <dt>{formatName(element.name)}</dt>
            <dd className="number">{values ? told(values[index] ?? 0, element) : "–"}</dd>
          </div>
        ))}
      </dl>
      {turning && (
        <div className={styles.turn}>
          <label>
            <span>Turn left</span>
            <input
              type="range"
              min={-1}
              max={1}
              step={0.05}
              // To the left is left on the slider too.
              value={-steering.turn}
              aria-label="Turning"
              aria-valuetext={told(values?.[joystick.places.turn] ?? 0, turning)}
              onChange={(event) => steer({ turn: -event.target.valueAsNumber })}
              onDoubleClick={() => steer({ turn: 0 })}
              data-testid="turning"
            />
            <span>right</span>
          </label>
        </div>
      )}
      <p className={styles.keys}>
        <kbd>W</kbd> <kbd>A</kbd> <kbd>S</kbd> <kbd>D</kbd> move, <kbd>Q</kbd> <kbd>E</kbd> turn; arrow keys do both; a
        gamepad works too.
      </p>
    </div>
  );
}

interface ElementSliderProps {
  readonly element: CommandElement;
  readonly value: number | undefined;
  readonly onChange: (value: number) => void;
}

function ElementSlider({ element, value, onChange }: ElementSliderProps) {
  const { name, low, high } = element;
  return (
    <div title={`Trained from ${told(low, element)} to ${told(high, element)}`}>
      <Slider
        label={formatName(name)}
        low={low}
        high={high}
        value={value ?? middle(element)}
        shown={value === undefined ? "–" : told(value, element)}
        onChange={onChange}
      />
      <p className={styles.range}>
        Trained from {told(low, element)} to {told(high, element)}
      </p>
    </div>
  );
}

function middle({ low, high }: CommandElement): number {
  return Math.min(high, Math.max(low, 0));
}

/** A value with its unit, and always as many digits, so that nothing jumps. */
function told(value: number, { unit }: CommandElement): string {
  const number = formatFixed(value);
  return unit ? `${number}\u00a0${unit}` : number;
}
