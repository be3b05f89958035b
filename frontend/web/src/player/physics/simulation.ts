import type { MjData, MjModel } from "@mujoco/mujoco";
import { PlayerError } from "../errors";
import type { ModelSizes } from "../protocol";
import { readContacts } from "./contacts";
import type { Mujoco } from "./engine";
import type { AppliedForce, ForceSource } from "./forces";

/** A scene's files in memory: the MJCF, and the others at the paths by which it names them. */
export interface LoadedFiles {
  readonly xml: Uint8Array;
  readonly assets: ReadonlyMap<string, Uint8Array>;
}

/** State arrays in the order in which a reset writes them. */
const stateFields = ["qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat"] as const;

/** State to start from; arrays left out keep the model's own values. */
export type StartState = Readonly<Record<string, ArrayLike<number>>>;

/** One MuJoCo model with one state. Free it with `dispose`: its memory is not garbage-collected. */
export class Simulation {
  // MuJoCo's views die when its memory grows, so they are fetched anew at each use and never kept.
  readonly #mujoco: Mujoco;
  readonly model: MjModel;
  readonly data: MjData;

  private constructor(mujoco: Mujoco, model: MjModel) {
    this.#mujoco = mujoco;
    this.model = model;
    // As in training: a state that diverges stays so, and the environment ends the episode; MuJoCo would start over in silence.
    model.opt.disableflags |= mujoco.module.mjtDisableBit.mjDSBL_AUTORESET.value;
    this.data = new mujoco.module.MjData(model);
  }

  /** @throws PlayerError SCENE_INVALID with MuJoCo's own words */
  static load(mujoco: Mujoco, files: LoadedFiles): Simulation {
    const { FS } = mujoco.module;
    const folder = "/scene";
    const written: string[] = [];
    const write = (path: string, bytes: Uint8Array): string => {
      const full = `${folder}/${path}`;
      FS.mkdirTree(full.slice(0, full.lastIndexOf("/")), 0o777);
      FS.writeFile(full, bytes);
      written.push(full);
      return full;
    };
    try {
      for (const [path, bytes] of files.assets) write(path, bytes);
      const model = mujoco.module.MjModel.from_xml_path(write("scene.xml", files.xml));
      return new Simulation(mujoco, model);
    } catch (error) {
      throw PlayerError.from(error, "SCENE_INVALID", "MuJoCo does not load this scene");
    } finally {
      for (const path of written) FS.unlink(path);
    }
  }

  get sizes(): ModelSizes {
    const { nq, nv, nu, nbody, ngeom } = this.model;
    return { nq, nv, nu, nbody, ngeom };
  }

  get mujocoVersion(): string {
    return this.#mujoco.module.mj_versionString();
  }

  size(name: "nq" | "nv" | "nu" | "na" | "nbody" | "nsensordata" | "nmocap"): number {
    return this.model[name];
  }

  get timestepSecs(): number {
    return this.model.opt.timestep;
  }

  /** Lowest and highest control of each actuator; 0 and 0 for an actuator without limits. */
  get ctrlRanges(): readonly (readonly [number, number])[] {
    const ranges: Float64Array = this.model.actuator_ctrlrange;
    return Array.from({ length: this.model.nu }, (_, i) => [ranges[2 * i] ?? 0, ranges[2 * i + 1] ?? 0] as const);
  }

  /** @throws PlayerError MANIFEST_INVALID when an array is unknown or has another length in this scene */
  reset(start: StartState = {}): void {
    this.#mujoco.module.mj_resetData(this.model, this.data);
    const unknown = Object.keys(start).find((field) => !(stateFields as readonly string[]).includes(field));
    if (unknown) throw new PlayerError("MANIFEST_INVALID", `A reset sets ${unknown}, which is no state of MuJoCo's.`);
    for (const field of stateFields) {
      const values = start[field];
      if (values) this.setState(field, values);
    }
    this.#mujoco.module.mj_forward(this.model, this.data);
  }

  /**
   * Starts from the scene's first keyframe, in which a robot stands, and returns the ctrl that keeps it there.
   * A scene without keyframes starts from its reference state; then there is no such ctrl.
   */
  home(): ArrayLike<number> | undefined {
    const { module } = this.#mujoco;
    if (this.model.nkey === 0) {
      this.reset();
      return undefined;
    }
    module.mj_resetDataKeyframe(this.model, this.data, 0);
    module.mj_forward(this.model, this.data);
    return Float64Array.from(this.data.ctrl as Float64Array);
  }

  /** @throws PlayerError MANIFEST_INVALID when the array is no state or has another length in this scene */
  setState(field: string, values: ArrayLike<number>): void {
    const known = stateFields.find((name) => name === field);
    if (!known)
      throw new PlayerError("MANIFEST_INVALID", `The controller writes ${field}, which is no state of MuJoCo's.`);
    const target: Float64Array = this.data[known];
    if (target.length !== values.length) {
      throw new PlayerError(
        "MANIFEST_INVALID",
        `The controller gives ${field} ${values.length} numbers, but the scene has ${target.length}: it was made for another scene.`,
      );
    }
    target.set(values);
  }

  setCtrl(ctrl: ArrayLike<number>): void {
    this.data.ctrl.set(ctrl);
  }

  /** Takes physics steps, each with the present ctrl, and with `forces` besides those that the environment applies itself. */
  step(count: number, forces?: ForceSource): void {
    const { module } = this.#mujoco;
    const own = forces && Float64Array.from(this.data.xfrc_applied as Float64Array);
    for (let i = 0; i < count; i += 1) {
      if (own) this.#apply(own, forces?.(this) ?? []);
      module.mj_step(this.model, this.data);
    }
    // The controller reads what the environment applied, not what a person did.
    if (own) this.data.xfrc_applied.set(own);
  }

  #apply(own: Float64Array, forces: readonly AppliedForce[]): void {
    const applied: Float64Array = this.data.xfrc_applied;
    applied.set(own);
    for (const { body, force, torque } of forces) {
      [...force, ...torque].forEach((value, k) => {
        applied[6 * body + k] = (applied[6 * body + k] ?? 0) + value;
      });
    }
  }

  /** Brings all that follows from the state up to date; no time passes. */
  forward(): void {
    this.#mujoco.module.mj_forward(this.model, this.data);
  }

  /** Recomputes the constants that follow from masses, after these have changed. The state starts anew. */
  settleConstants(): void {
    this.#mujoco.module.mj_setConst(this.model, this.data);
  }

  /** The strongest contacts, six numbers each: where, and the force, in the world. */
  contacts(): Float32Array<ArrayBuffer> {
    return readContacts(this.#mujoco.module, this);
  }

  /**
   * Returns a view of an mjData array; the next call into physics may invalidate it.
   *
   * @throws PlayerError MANIFEST_INVALID when there is no such array
   */
  read(field: string): ArrayLike<number> {
    if (field === "time") return [this.data.time];
    const values: unknown = this.data[field as keyof MjData];
    if (ArrayBuffer.isView(values)) return values as Float64Array;
    throw new PlayerError("MANIFEST_INVALID", `The controller reads ${field}, which is no array of MuJoCo's state.`);
  }

  /** @throws PlayerError PHYSICS_DIVERGED */
  checkFinite(): void {
    const finite = (this.data.qpos as Float64Array).every(Number.isFinite);
    if (!finite) throw new PlayerError("PHYSICS_DIVERGED", "The simulation became unstable; it starts again.");
  }

  dispose(): void {
    this.data.delete();
    this.model.delete();
  }
}
