import { fromJsonString } from "@bufbuild/protobuf";
import {
  type ControllerManifest,
  ControllerManifestSchema,
  InputSource,
  OutputRole,
  type ResetState,
} from "../../gen/tabrl/exporter/v1/manifest_pb";
import { DataType, type TensorSpec } from "../../gen/tabrl/type/v1/tensor_pb";
import { PlayerError } from "../errors";
import type { CommandSpec, SceneFiles } from "../protocol";
import { commandsOf } from "./commands";
import type { Requirements } from "./compatibility";
import { type Dtype, elementCount } from "./tensor";

/** Version of the manifest's rules that this player follows. */
export const SPECIFICATION = 1;

/** What fills an input of the graph. */
export type InputFeed =
  | { readonly kind: "data" | "dataBefore" | "carry"; readonly field: string }
  | { readonly kind: "uniform" | "normal" };

export interface GraphInput {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly feed: InputFeed;
}

/** A controller's manifest, read and checked: who feeds each input, and where each output goes. Outputs are named by tensor. */
export interface Wiring {
  readonly environmentId: string;
  readonly controllerSha256: string;
  readonly scene: SceneFiles;
  readonly controlPeriodSecs: number;
  readonly physicsStepsPerControl: number;
  /** Control steps after which an episode ends. */
  readonly episodeLength: number;
  readonly inputs: readonly GraphInput[];
  /** Output with the ctrl, and how many numbers it has. */
  readonly ctrl: { readonly output: string; readonly length: number };
  /** Output with the reward and with the end of the episode, where the graph computes them. */
  readonly reward: string | undefined;
  readonly done: string | undefined;
  /** Reward terms in the order to show them. */
  readonly terms: readonly { readonly name: string; readonly output: string }[];
  /** mjData arrays that the environment writes itself, such as a goal that moves. */
  readonly stateOutputs: readonly { readonly field: string; readonly output: string }[];
  /** Carry entries that the graph computes. */
  readonly carryOutputs: readonly { readonly field: string; readonly output: string }[];
  /** Carry entries that are copied from an input. */
  readonly carryCopies: readonly { readonly field: string; readonly input: string }[];
  /** mjData arrays to keep from before the physics. */
  readonly fieldsBefore: readonly string[];
  readonly resets: readonly ResetState[];
  /** Carry entries by which the robot is commanded. */
  readonly commands: readonly CommandSpec[];
  readonly requirements: Requirements;
}

/**
 * Reads a manifest from its protobuf JSON.
 *
 * @throws PlayerError MANIFEST_INVALID
 */
export function parseManifest(json: string): ControllerManifest {
  try {
    return fromJsonString(ControllerManifestSchema, json, { ignoreUnknownFields: true });
  } catch (error) {
    throw PlayerError.from(error, "MANIFEST_INVALID", "The controller's manifest cannot be read");
  }
}

/**
 * Turns a manifest into a wiring and checks that it is whole.
 *
 * @throws PlayerError MANIFEST_INVALID
 */
export function wire(manifest: ControllerManifest): Wiring {
  if (manifest.specification !== SPECIFICATION) {
    throw invalid(`it follows version ${manifest.specification} of the rules; this page knows ${SPECIFICATION}`);
  }
  if (!(manifest.controlPeriodSecs > 0) || manifest.physicsStepsPerControl < 1 || manifest.episodeLength < 1) {
    throw invalid("its clocks are not positive");
  }
  if (!manifest.sceneXml) throw invalid("it names no scene");
  if (manifest.resets.length === 0) throw invalid("it has no state to start from");

  const inputs = manifest.inputs.map(({ tensor, source, field }) => graphInput(tensor, source, field));
  const outputs = manifest.outputs.map(({ tensor, role, field }) => ({ tensor: named(tensor), role, field }));
  const only = (role: OutputRole) => outputs.find((output) => output.role === role);
  const ctrl = only(OutputRole.CTRL);
  if (!ctrl) throw invalid("it has no output for ctrl");

  const carryOutputs = outputs
    .filter((output) => output.role === OutputRole.CARRY)
    .map(({ field, tensor }) => ({ field, output: tensor.name }));
  checkCarry(manifest, inputs, carryOutputs);
  return {
    environmentId: manifest.environmentId,
    controllerSha256: manifest.controllerSha256,
    scene: sceneFiles(manifest),
    controlPeriodSecs: manifest.controlPeriodSecs,
    physicsStepsPerControl: manifest.physicsStepsPerControl,
    episodeLength: manifest.episodeLength,
    inputs,
    ctrl: { output: ctrl.tensor.name, length: elementCount(ctrl.tensor.shape) },
    reward: only(OutputRole.REWARD)?.tensor.name,
    done: only(OutputRole.DONE)?.tensor.name,
    terms: manifest.terms.map(({ name }) => ({ name, output: termOutput(name, outputs) })),
    stateOutputs: outputs
      .filter((output) => output.role === OutputRole.STATE)
      .map(({ field, tensor }) => ({ field, output: tensor.name })),
    carryOutputs,
    carryCopies: manifest.copies.map(({ field, input }) => ({ field, input })),
    fieldsBefore: inputs.flatMap(({ feed }) => (feed.kind === "dataBefore" ? [feed.field] : [])),
    resets: manifest.resets,
    commands: commandsOf(manifest),
    requirements: { mujocoVersions: manifest.mujocoVersions, model: manifest.model },
  };
}

function graphInput(tensor: TensorSpec | undefined, source: InputSource, field: string): GraphInput {
  const { name, shape, dtype } = named(tensor);
  return { name, shape, dtype: dtypeOf(name, dtype), feed: feedOf(name, source, field) };
}

function feedOf(name: string, source: InputSource, field: string): InputFeed {
  switch (source) {
    case InputSource.DATA:
      return { kind: "data", field };
    case InputSource.DATA_BEFORE:
      return { kind: "dataBefore", field };
    case InputSource.CARRY:
      return { kind: "carry", field };
    case InputSource.UNIFORM:
      return { kind: "uniform" };
    case InputSource.NORMAL:
      return { kind: "normal" };
    default:
      throw invalid(`it does not say where input ${name} comes from`);
  }
}

function dtypeOf(name: string, dtype: DataType): Dtype {
  switch (dtype) {
    case DataType.FLOAT32:
      return "float32";
    case DataType.INT32:
      return "int32";
    case DataType.UINT32:
      return "uint32";
    case DataType.BOOL:
      return "bool";
    default:
      throw invalid(`input ${name} has no type`);
  }
}

function checkCarry(
  manifest: ControllerManifest,
  inputs: readonly GraphInput[],
  carryOutputs: readonly { field: string }[],
): void {
  const inputNames = new Set(inputs.map((input) => input.name));
  for (const copy of manifest.copies) {
    if (!inputNames.has(copy.input))
      throw invalid(`carry ${copy.field} is copied from ${copy.input}, which is no input`);
  }
  const renewed = new Set([...carryOutputs, ...manifest.copies].map(({ field }) => field));
  for (const { feed, name, shape } of inputs) {
    if (feed.kind !== "carry") continue;
    if (!renewed.has(feed.field)) throw invalid(`nothing renews carry ${feed.field}`);
    for (const { carry } of manifest.resets) {
      const first = carry[feed.field];
      if (first?.values.length !== elementCount(shape)) {
        throw invalid(`a reset gives input ${name} ${first?.values.length ?? 0} numbers, not ${elementCount(shape)}`);
      }
    }
  }
}

function termOutput(name: string, outputs: readonly { tensor: TensorSpec; role: OutputRole; field: string }[]): string {
  const output = outputs.find((candidate) => candidate.role === OutputRole.TERM && candidate.field === name);
  if (!output) throw invalid(`no output holds the reward term ${name}`);
  return output.tensor.name;
}

function sceneFiles(manifest: ControllerManifest): SceneFiles {
  return {
    environmentId: manifest.environmentId,
    xml: { sha256: manifest.sceneXml?.sha256 ?? "" },
    assets: manifest.sceneAssets.map(({ path, artifact }) => ({ path, file: { sha256: artifact?.sha256 ?? "" } })),
  };
}

function named(tensor: TensorSpec | undefined): TensorSpec {
  if (!tensor?.name) throw invalid("an input or output has no name");
  return tensor;
}

function invalid(reason: string): PlayerError {
  return new PlayerError("MANIFEST_INVALID", `The controller's manifest does not work: ${reason}. Export it again.`);
}
