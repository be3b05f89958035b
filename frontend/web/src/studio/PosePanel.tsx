import { type ReactNode, useCallback, useMemo, useState, useSyncExternalStore } from "react";
import { formatFixed } from "../format/format";
import type { ActuatorSpec, JointSpec, PlayerTick } from "../player";
import type { Store } from "../stores/store";
import { Button } from "../ui/Button";
import { Slider } from "../ui/Slider";
import { jointValue, rangeOf } from "./jointUnits";
import styles from "./PosePanel.module.css";
import { type Limb, limbsOf, searched } from "./parts";

/** Above this many, limbs are closed at first and can be searched. */
const MANY = 16;

interface PosePanelProps {
  readonly ticks: Store<PlayerTick | undefined>;
  readonly joints: readonly JointSpec[];
  readonly actuators: readonly ActuatorSpec[];
  /** Whether a policy moves the motors. */
  readonly driven: boolean;
  /** Whether the person took the motors from the policy, or holds them. */
  readonly byHand: boolean;
  readonly onJoint: (joint: JointSpec, value: number) => void;
  readonly onMotor: (index: number, value: number) => void;
  /** Takes the motors from the policy. */
  readonly onTakeOver: () => void;
  /** Gives them back to whatever moved them before. */
  readonly onLetGo: () => void;
}

/** Every joint and every motor, each with a slider. */
export function PosePanel(props: PosePanelProps) {
  const [shown, setShown] = useState<"joints" | "motors">("joints");
  const [search, setSearch] = useState("");
  const { joints, actuators, ticks } = props;
  const count = shown === "joints" ? joints.length : actuators.length;
  return (
    <>
      <fieldset className={styles.choice}>
        <legend className="hidden-visually">What to move</legend>
        <button type="button" aria-pressed={shown === "joints"} onClick={() => setShown("joints")}>
          Joints
        </button>
        <button
          type="button"
          aria-pressed={shown === "motors"}
          onClick={() => setShown("motors")}
          data-testid="show-motors"
        >
          Motors
        </button>
      </fieldset>
      {count > MANY && (
        <input
          type="search"
          className={styles.search}
          placeholder={shown === "joints" ? "Search joints" : "Search motors"}
          aria-label={shown === "joints" ? "Search joints" : "Search motors"}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      )}
      {shown === "joints" ? (
        <Limbs specs={joints} what="Joint" search={search}>
          {(joint, label) => (
            <LiveSlider
              key={joint.qposIndex}
              name={joint.name}
              label={label}
              range={rangeOf(joint)}
              steps={500}
              ticks={ticks}
              read={(tick) => tick.qpos[joint.qposIndex] ?? 0}
              shown={(value) => jointValue(joint, value)}
              testId={`joint-${joint.qposIndex}`}
              onChange={(value) => props.onJoint(joint, value)}
            />
          )}
        </Limbs>
      ) : (
        <Motors {...props} search={search} />
      )}
    </>
  );
}

function Motors({
  actuators,
  driven,
  byHand,
  ticks,
  search,
  onMotor,
  onTakeOver,
  onLetGo,
}: PosePanelProps & { readonly search: string }) {
  return (
    <>
      <div className={styles.owner}>
        <p>{driven ? "A policy moves the motors." : byHand ? "You move the motors." : "Nobody moves the motors."}</p>
        {driven ? (
          <Button size="small" onClick={onTakeOver} data-testid="take-over">
            Take over
          </Button>
        ) : (
          <Button size="small" disabled={!byHand} onClick={onLetGo} data-testid="let-go">
            Let go
          </Button>
        )}
      </div>
      <Limbs specs={actuators} what="Motor" search={search}>
        {(actuator, label, index) => (
          <LiveSlider
            key={index}
            name={actuator.name}
            label={label}
            range={motorRange(actuator)}
            steps={200}
            disabled={driven}
            ticks={ticks}
            read={(tick) => tick.ctrl[index] ?? 0}
            shown={formatFixed}
            testId={`motor-${index}`}
            onChange={(value) => onMotor(index, value)}
          />
        )}
      </Limbs>
    </>
  );
}

interface LimbsProps<T> {
  readonly specs: readonly T[];
  readonly what: string;
  readonly search: string;
  readonly children: (spec: T, label: string, index: number) => ReactNode;
}

function Limbs<T extends { readonly name: string }>({ specs, what, search, children }: LimbsProps<T>) {
  const limbs = useMemo(() => limbsOf(specs, what), [specs, what]);
  const found = searched(limbs, search);
  if (specs.length === 0) return <p className={styles.none}>This robot has none.</p>;
  if (found.length === 0) return <p className={styles.none}>Nothing is called “{search.trim()}”.</p>;
  if (limbs.length === 1)
    return <div>{found.flatMap(({ parts }) => parts.map((part) => children(part.spec, part.label, part.index)))}</div>;
  return (
    <div className={styles.limbs}>
      {found.map((limb, place) => (
        <LimbGroup
          key={limb.title}
          limb={limb}
          open={search !== "" || specs.length <= MANY || place === 0}
          title={limb.title || "Others"}
        >
          {children}
        </LimbGroup>
      ))}
    </div>
  );
}

interface LimbGroupProps<T> {
  readonly limb: Limb<T>;
  readonly title: string;
  /** Whether it is open until the person says otherwise. */
  readonly open: boolean;
  readonly children: (spec: T, label: string, index: number) => ReactNode;
}

function LimbGroup<T>({ limb, title, open, children }: LimbGroupProps<T>) {
  const [chosen, setChosen] = useState<boolean>();
  const shown = chosen ?? open;
  return (
    <section className={styles.limb}>
      <h4>
        <button type="button" aria-expanded={shown} onClick={() => setChosen(!shown)}>
          {title}
          <span className="number">{limb.parts.length}</span>
        </button>
      </h4>
      {/* Sliders nobody sees need not follow the robot. */}
      {shown && limb.parts.map(({ spec, label, index }) => children(spec, label, index))}
    </section>
  );
}

interface LiveSliderProps {
  readonly name: string;
  readonly label: string;
  readonly range: readonly [low: number, high: number];
  /** How many values it can be moved to. */
  readonly steps: number;
  readonly ticks: Store<PlayerTick | undefined>;
  /** Its value in the newest tick. */
  readonly read: (tick: PlayerTick) => number;
  readonly shown: (value: number) => string;
  readonly disabled?: boolean;
  readonly testId: string;
  readonly onChange: (value: number) => void;
}

/** A slider that follows the robot, unless the person holds it. */
function LiveSlider(props: LiveSliderProps) {
  const {
    name,
    label,
    range: [low, high],
    steps,
    ticks,
    read,
    shown,
    disabled = false,
    testId,
    onChange,
  } = props;
  const live = useLive(ticks, read);
  const [held, setHeld] = useState<number>();
  const value = held ?? live;
  return (
    <div title={name}>
      <Slider
        label={label}
        low={low}
        high={high}
        step={(high - low) / steps}
        value={value}
        shown={shown(value)}
        disabled={disabled}
        testId={testId}
        onChange={(next) => {
          setHeld(next);
          onChange(next);
        }}
        onRelease={() => setHeld(undefined)}
      />
    </div>
  );
}

/** What a motor takes; one without limits gets what motors usually take. */
function motorRange({ limited, low, high }: ActuatorSpec): readonly [low: number, high: number] {
  return limited && high > low ? [low, high] : [-1, 1];
}

/** A number of the newest tick; renders anew only when it changes so much that one could see it. */
function useLive(ticks: Store<PlayerTick | undefined>, read: (tick: PlayerTick) => number): number {
  const get = useCallback(() => {
    const tick = ticks.get();
    return tick ? Math.round(read(tick) * 500) / 500 : 0;
  }, [ticks, read]);
  return useSyncExternalStore(ticks.subscribe, get);
}
