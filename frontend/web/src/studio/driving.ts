import type { CommandElement, CommandSpec } from "../player";
import { createStore, type Store } from "../stores/store";

/** Values that a person holds, by the carry entry that they replace; null leaves all of them to the environment. */
export type Commands = Readonly<Record<string, readonly number[]>> | null;

/** How far a person steers along each axis, from −1 to 1. */
export interface Steering {
  readonly forward: number;
  readonly left: number;
  /** Positive turns to the left. */
  readonly turn: number;
}

export const STILL: Steering = { forward: 0, left: 0, turn: 0 };

/** A command that a joystick can give, and which of its elements each axis sets. */
export interface Joystick {
  readonly field: string;
  readonly elements: readonly CommandElement[];
  readonly places: Readonly<Record<keyof Steering, number>>;
}

/** The command that names itself like a joystick's; undefined where none does. */
export function joystickAmong(specs: readonly CommandSpec[]): Joystick | undefined {
  for (const { field, elements } of specs) {
    const place = (pattern: RegExp) => elements.findIndex(({ name }) => pattern.test(name));
    const places = {
      forward: place(/forward/i),
      left: place(/^(?!.*turn).*(left|sideways)/i),
      turn: place(/turn|yaw/i),
    };
    if (elements.length === 3 && Object.values(places).every((index) => index >= 0)) return { field, elements, places };
  }
  return undefined;
}

/** The command for a steering: full deflection is the most that training drew, also where its range is not symmetric. */
export function commandFor({ elements, places }: Joystick, steering: Steering): readonly number[] {
  return elements.map(({ low, high }, index) => {
    const axis = AXES.find((each) => places[each] === index);
    const part = axis ? steering[axis] : 0;
    const value = part < 0 ? Math.min(0, low) * -part : Math.max(0, high) * part;
    return value === 0 ? 0 : clamp(value, low, high);
  });
}

/** The steering that a command stands for. */
export function steeringOf({ elements, places }: Joystick, values: readonly number[]): Steering {
  const part = (axis: keyof Steering) => {
    const [element, value = 0] = [elements[places[axis]], values[places[axis]]];
    const most = value < 0 ? -(element?.low ?? -1) : (element?.high ?? 1);
    return most > 0 ? clamp(value / most, -1, 1) : 0;
  };
  return { forward: part("forward"), left: part("left"), turn: part("turn") };
}

const AXES: readonly (keyof Steering)[] = ["forward", "left", "turn"];

const KEYS: Readonly<Record<string, readonly [axis: keyof Steering, sign: 1 | -1]>> = {
  KeyW: ["forward", 1],
  KeyS: ["forward", -1],
  KeyA: ["left", 1],
  KeyD: ["left", -1],
  KeyQ: ["turn", 1],
  KeyE: ["turn", -1],
  ArrowUp: ["forward", 1],
  ArrowDown: ["forward", -1],
  ArrowLeft: ["turn", 1],
  ArrowRight: ["turn", -1],
};

/** Whether a key, by its place on the keyboard, steers. */
export function steers(code: string): boolean {
  return code in KEYS;
}

/** The steering of the keys that are down; opposite ones cancel each other. */
export function steeringByKeys(down: ReadonlySet<string>): Steering {
  const sums = { ...STILL };
  for (const code of down) {
    const key = KEYS[code];
    if (key) sums[key[0]] += key[1];
  }
  return { forward: clamp(sums.forward, -1, 1), left: clamp(sums.left, -1, 1), turn: clamp(sums.turn, -1, 1) };
}

/** Below this a stick counts as let go: worn ones do not come back to the middle. */
export const DEAD_ZONE = 0.15;

/** The steering of a gamepad's axes in the standard layout: the left stick moves, the right one turns. */
export function steeringByGamepad(axes: readonly number[]): Steering {
  const [x = 0, y = 0, turn = 0] = axes;
  return { forward: past(-y), left: past(-x), turn: past(-turn) };
}

export function isStill({ forward, left, turn }: Steering): boolean {
  return forward === 0 && left === 0 && turn === 0;
}

/** What a person commands of the robot on stage. */
export interface Driving {
  readonly held: Store<Commands>;
  hold(field: string, values: readonly number[]): void;
  /** The environment decides again. */
  letGo(): void;
  /** Keeps only what a policy with these commands understands. */
  fit(specs: readonly CommandSpec[]): void;
}

export function createDriving(): Driving {
  const held = createStore<Commands>(null);
  return {
    held,
    hold: (field, values) => held.set((before) => ({ ...before, [field]: values })),
    letGo: () => held.set(null),
    fit(specs) {
      const before = held.get();
      if (!before) return;
      const kept = Object.entries(before).filter(([field, values]) =>
        specs.some((spec) => spec.field === field && spec.elements.length === values.length),
      );
      if (kept.length === Object.keys(before).length) return;
      held.set(kept.length > 0 ? Object.fromEntries(kept) : null);
    },
  };
}

function past(value: number): number {
  const size = Math.abs(value);
  if (size <= DEAD_ZONE) return 0;
  return Math.sign(value) * Math.min(1, (size - DEAD_ZONE) / (1 - DEAD_ZONE));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
