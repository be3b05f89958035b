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
            <JointSlider key={joint.qposIndex} joint={joint} label={label} ticks={ticks} onJoint={props.onJoint} />
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
          <MotorSlider
            key={index}
            actuator={actuator}
            label={label}
            index={index}
            disabled={driven}
            ticks={ticks}
            onMotor={onMotor}
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

interface JointSliderProps {
  readonly joint: JointSpec;
  readonly label: string;
  readonly ticks: Store<PlayerTick | undefined>;
  readonly onJoint: (joint: JointSpec, value: number) => void;
}

function JointSlider({ joint, label, ticks, onJoint }: JointSliderProps) {
  const [low, high] = rangeOf(joint);
  const live = useLive(ticks, (tick) => tick.qpos[joint.qposIndex] ?? 0);
  const [held, setHeld] = useState<number>();
  const value = held ?? live;
  return (
    <div title={joint.name}>
      <Slider
        label={label}
        low={low}
        high={high}
        step={(high - low) / 500}
        value={value}
        shown={jointValue(joint, value)}
        testId={`joint-${joint.qposIndex}`}
        onChange={(next) => {
          setHeld(next);
          onJoint(joint, next);
        }}
        onRelease={() => setHeld(undefined)}
      />
    </div>
  );
}

interface MotorSliderProps {
  readonly actuator: ActuatorSpec;
  readonly label: string;
  readonly index: number;
  readonly disabled: boolean;
  readonly ticks: Store<PlayerTick | undefined>;
  readonly onMotor: (index: number, value: number) => void;
}

function MotorSlider({ actuator, label, index, disabled, ticks, onMotor }: MotorSliderProps) {
  const { limited, low, high } = actuator;
  const [from, to] = limited && high > low ? [low, high] : [-1, 1];
  const live = useLive(ticks, (tick) => tick.ctrl[index] ?? 0);
  const [held, setHeld] = useState<number>();
  const value = held ?? live;
  return (
    <div title={actuator.name}>
      <Slider
        label={label}
        low={from}
        high={to}
        step={(to - from) / 200}
        value={value}
        shown={formatFixed(value)}
        disabled={disabled}
        testId={`motor-${index}`}
        onChange={(next) => {
          setHeld(next);
          onMotor(index, next);
        }}
        onRelease={() => setHeld(undefined)}
      />
    </div>
  );
}

/** A number of the newest tick; renders anew only when it changes so much that one could see it. */
function useLive(ticks: Store<PlayerTick | undefined>, read: (tick: PlayerTick) => number): number {
  const get = useCallback(() => {
    const tick = ticks.get();
    return tick ? Math.round(read(tick) * 500) / 500 : 0;
  }, [ticks, read]);
  return useSyncExternalStore(ticks.subscribe, get);
}
