import type { ControllerManifest } from "../../gen/tabrl/exporter/v1/manifest_pb";
import { PlayerError } from "../errors";
import type { CommandSpec, HeldCommands } from "../protocol";
import { elementCount } from "./tensor";
import type { Wiring } from "./wiring";

/** What the robot can be told, as the manifest says. */
export function commandsOf(manifest: ControllerManifest): CommandSpec[] {
  return manifest.commands.map(({ field, elements }) => ({
    field,
    elements: elements.map(({ name, unit, low, high }) => ({ name, unit, low, high })),
  }));
}

/**
 * Refuses commands that the robot does not know.
 *
 * @throws PlayerError COMMAND_INVALID
 */
export function checkCommands({ commands, inputs }: Wiring, held: HeldCommands): void {
  for (const [field, values] of Object.entries(held)) {
    const known = commands.some((command) => command.field === field);
    const input = inputs.find(({ feed }) => feed.kind === "carry" && feed.field === field);
    if (!known || !input) {
      const names = commands.map((command) => command.field).join(", ") || "none";
      throw new PlayerError("COMMAND_INVALID", `This robot has no command ${field}; it has: ${names}.`);
    }
    const wanted = elementCount(input.shape);
    if (values.length !== wanted || !values.every(Number.isFinite)) {
      throw new PlayerError("COMMAND_INVALID", `The command ${field} takes ${wanted} numbers; ${values.length} came.`);
    }
  }
}
