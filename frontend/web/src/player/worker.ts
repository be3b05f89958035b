import { artifactSource } from "./artifacts";
import { PlayerError } from "./errors";
import { startSimplifier } from "./meshes/simplifier";
import { startMujoco, startOnnx } from "./physics/engine";
import { type Loader, loaderOf, startedOnce } from "./play/loading";
import { Player } from "./play/player";
import { rollOut } from "./play/rollout";
import type { Command, Report, RolloutSpec } from "./protocol";

// The page's side of this conversation is in client.ts; what is said, in protocol.ts.

interface Started {
  readonly loader: Loader;
  readonly player: Player;
}

function send(report: Report, transfer: Transferable[] = []): void {
  postMessage(report, { transfer });
}

// Compiled while the page still asks which scene it is; who needs it hears of a failure.
const mujoco = startedOnce(startMujoco);
mujoco().catch(() => undefined);
void startSimplifier();

function start(artifacts: string): Started {
  const loader = loaderOf(artifactSource({ folder: artifacts }), { mujoco, onnx: startOnnx });
  return { loader, player: new Player(loader, send) };
}

async function answerRollout(loader: Loader, id: number, spec: RolloutSpec): Promise<void> {
  try {
    send({ type: "rolledOut", id, rollout: await rollOut(spec, loader) });
  } catch (error) {
    const fault = PlayerError.from(error, "GRAPH_FAILED", "The rollout failed").toFault();
    send({ type: "rolloutFailed", id, fault });
  }
}

function obey({ loader, player }: Started, command: Exclude<Command, { type: "start" }>): void | Promise<void> {
  switch (command.type) {
    case "setLanes":
      return player.setLanes(command.lanes);
    case "loadScene":
      return player.loadScene(command.generation, command.scene, command.lane);
    case "setController":
      return player.setController(command.generation, command.controller, command.lane);
    case "setCommands":
      return player.setCommands(command.commands, command.lane);
    case "setContacts":
      return player.setContacts(command.contacts);
    case "grab":
      return player.grab(command.grab, command.lane);
    case "shove":
      return player.shove(command.directions, command.speed);
    case "setJoint":
      return player.setJoint(command.qposIndex, command.value, command.lane);
    case "setCtrl":
      return player.setCtrl(command.values, command.lane);
    case "setPlaying":
      return player.setPlaying(command.playing);
    case "setSpeed":
      return player.setSpeed(command.speed);
    case "setDraws":
      return player.setDraws(command.draws);
    case "reset":
      return player.reset();
    case "step":
      return player.step();
    case "recycle":
      return player.recycle(command.poses, command.lane);
    case "rollout":
      return answerRollout(loader, command.id, command.spec);
  }
}

let started: Started | undefined;

addEventListener("message", ({ data: command }: MessageEvent<Command>) => {
  if (command.type === "start") started = start(command.artifacts);
  else if (started) void obey(started, command);
});
