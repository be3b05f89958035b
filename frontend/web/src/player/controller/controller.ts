import type { ResetState } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { PlayerError } from "../errors";
import type { Draws, HeldCommands } from "../protocol";
import { checkCommands } from "./commands";
import type { Graph } from "./graph";
import { type Dtype, elementCount, type Numbers, numbersOf, type Tensor } from "./tensor";
import type { GraphInput, Wiring } from "./wiring";

/** mjData arrays by name. What is returned is only valid until the next call into physics: copy it. */
export type ReadArray = (field: string) => ArrayLike<number>;

/** What a controller makes of a state. */
export interface Decision {
  /** To be written to `mjData.ctrl`. */
  readonly ctrl: Numbers;
  /** To be written to other arrays of mjData before that: what the environment moves itself. */
  readonly state: readonly { readonly field: string; readonly values: Numbers }[];
  /** Reward of the control period that lies behind; 0 straight after a reset. */
  readonly reward: number;
  /** Its terms by name, weights applied, in the manifest's order. */
  readonly terms: Readonly<Record<string, number>>;
  /** Whether the environment ends the episode in this state. */
  readonly done: boolean;
}

/** Memory of a controller between two ticks: carry entries by name. */
export type Carry = ReadonlyMap<string, Numbers>;

/** A graph, fed by the rules of its manifest (`tabrl/exporter/v1/manifest.proto`). */
export class Controller {
  #carry: Map<string, Numbers> = new Map();
  #held: ReadonlyMap<string, Numbers> = new Map();
  readonly #carryDtypes: ReadonlyMap<string, Dtype>;

  /** @throws PlayerError MANIFEST_INVALID when the graph has other inputs or outputs than the manifest says */
  constructor(
    readonly wiring: Wiring,
    readonly graph: Graph,
  ) {
    checkNames("inputs", wiring.inputs, graph.inputNames);
    this.#carryDtypes = new Map(
      wiring.inputs.flatMap(({ feed, dtype }) => (feed.kind === "carry" ? [[feed.field, dtype] as const] : [])),
    );
  }

  get carry(): Carry {
    return this.#carry;
  }

  /**
   * Holds carry entries at values from the next tick on; null leaves them to the graph.
   *
   * @throws PlayerError COMMAND_INVALID; then what was held before still is
   */
  hold(commands: HeldCommands | null): void {
    checkCommands(this.wiring, commands ?? {});
    this.#held = new Map(
      Object.entries(commands ?? {}).map(([field, values]) => [field, this.#numbers(field, values)]),
    );
  }

  /** Starts an episode: the carry is that of the reset. */
  begin(reset: ResetState): void {
    this.#carry = new Map(
      Object.entries(reset.carry).map(([field, { values }]) => [field, this.#numbers(field, values)]),
    );
  }

  /** Takes an episode over from another controller in mid-run: what both remember under one name and length goes on. */
  takeOver(from: Carry, reset: ResetState): void {
    this.begin(reset);
    for (const [field, first] of this.#carry) {
      const present = from.get(field);
      if (present?.length === first.length) this.#carry.set(field, this.#numbers(field, present));
    }
  }

  /**
   * Runs the graph on the present state and keeps the carry for the next tick.
   *
   * @param read the arrays straight after the last physics step (after a reset: after `mj_forward`)
   * @param readBefore the arrays as they were before the last control period's physics
   * @throws PlayerError GRAPH_FAILED; MANIFEST_INVALID when the scene has other sizes than the graph
   */
  async decide(
    read: ReadArray,
    readBefore: ReadArray,
    draws: Draws,
    random: () => number = Math.random,
  ): Promise<Decision> {
    const { wiring } = this;
    const feeds: Record<string, Tensor> = {};
    for (const input of wiring.inputs) {
      const values = this.#feed(input, read, readBefore, draws, random);
      const expected = elementCount(input.shape);
      if (values.length !== expected) {
        throw new PlayerError(
          "MANIFEST_INVALID",
          `Input ${input.name} wants ${expected} numbers, but the scene has ${values.length}: the controller was made for another scene.`,
        );
      }
      feeds[input.name] = { dtype: input.dtype, shape: input.shape, values };
    }
    const outputs = await this.graph.run(feeds);
    const output = (name: string): Numbers => {
      const values = outputs[name];
      if (!values) throw new PlayerError("GRAPH_FAILED", `The controller's graph has no output ${name}.`);
      return values;
    };
    const scalar = (name: string | undefined): number => (name === undefined ? 0 : (output(name)[0] ?? Number.NaN));

    const next = new Map(this.#carry);
    for (const { field, output: name } of wiring.carryOutputs) next.set(field, output(name));
    for (const { field, input } of wiring.carryCopies) {
      const source = feeds[input];
      if (source) next.set(field, this.#numbers(field, source.values));
    }
    this.#carry = next;
    return {
      ctrl: output(wiring.ctrl.output),
      state: wiring.stateOutputs.map(({ field, output: name }) => ({ field, values: output(name) })),
      reward: scalar(wiring.reward),
      terms: Object.fromEntries(wiring.terms.map(({ name, output: tensor }) => [name, scalar(tensor)])),
      done: scalar(wiring.done) !== 0,
    };
  }

  #feed(
    { feed, name, dtype, shape }: GraphInput,
    read: ReadArray,
    readBefore: ReadArray,
    draws: Draws,
    random: () => number,
  ): Numbers {
    switch (feed.kind) {
      case "data":
        return numbersOf(dtype, read(feed.field));
      case "dataBefore":
        return numbersOf(dtype, readBefore(feed.field));
      case "carry": {
        const values = this.#held.get(feed.field) ?? this.#carry.get(feed.field);
        if (!values) throw new PlayerError("MANIFEST_INVALID", `No reset gives input ${name} its first value.`);
        return values;
      }
      case "uniform":
        return Float32Array.from({ length: elementCount(shape) }, draws === "none" ? () => 0.5 : random);
      case "normal":
        return Float32Array.from(
          { length: elementCount(shape) },
          draws === "none" ? () => 0 : () => standardNormal(random),
        );
    }
  }

  #numbers(field: string, values: ArrayLike<number>): Numbers {
    return numbersOf(this.#carryDtypes.get(field) ?? "float32", values);
  }
}

/** Box–Muller. */
export function standardNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function checkNames(kind: string, wired: readonly { name: string }[], actual: readonly string[]): void {
  const names = wired.map(({ name }) => name);
  const missing = actual.filter((name) => !names.includes(name));
  const unknown = names.filter((name) => !actual.includes(name));
  if (missing.length + unknown.length === 0) return;
  throw new PlayerError(
    "MANIFEST_INVALID",
    `The manifest and the graph differ in their ${kind}: only the graph has [${missing}], only the manifest [${unknown}].`,
  );
}
