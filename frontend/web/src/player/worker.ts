import { artifactSource } from "./artifacts";
import { PlayerError } from "./errors";
import { startMujoco, startOnnx } from "./physics/engine";
import { loaderOf } from "./play/loading";
import { Player } from "./play/player";
import { rollOut } from "./play/rollout";
import type { Command, Report, RolloutSpec } from "./protocol";

// The page's side of this conversation is in client.ts; what is said, in protocol.ts.

const loader = loaderOf(artifactSource(), { mujoco: startMujoco, onnx: startOnnx });

function send(report: Report, transfer: Transferable[] = []): void {
  postMessage(report, { transfer });
}

const player = new Player(loader, send);

async function answerRollout(id: number, spec: RolloutSpec): Promise<void> {
  try {
    send({ type: "rolledOut", id, rollout: await rollOut(spec, loader) });
  } catch (error) {
    const fault = PlayerError.from(error, "GRAPH_FAILED", "The rollout failed").toFault();
    send({ type: "rolloutFailed", id, fault });
  }
}

function obey(command: Command): void | Promise<void> {
  switch (command.type) {
    case "loadScene":
      return player.loadScene(command.generation, command.scene);
    case "setController":
      return player.setController(command.generation, command.controller);
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
      return player.recycle(command.poses);
    case "rollout":
      return answerRollout(command.id, command.spec);
  }
}

addEventListener("message", (event: MessageEvent<Command>) => void obey(event.data));
