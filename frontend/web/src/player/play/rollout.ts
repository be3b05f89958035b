import { PlayerError } from "../errors";
import type { Simulation } from "../physics/simulation";
import type { EndOfEpisode, Rollout, RolloutSpec } from "../protocol";
import { type Disturbing, disturb } from "./disturbance";
import { DrivenEpisode } from "./episode";
import type { Loader } from "./loading";

/**
 * Plays a fixed course of events in a simulation of its own and records it.
 *
 * @throws PlayerError
 */
export async function rollOut(spec: RolloutSpec, loader: Loader): Promise<Rollout> {
  switch (spec.kind) {
    case "physics":
      return withSimulation(loader.simulation(spec.scene), async (simulation) => physics(simulation, spec));
    case "controller": {
      const controller = await loader.controller(spec.controller);
      try {
        const reset = controller.wiring.resets[spec.reset];
        if (!reset) throw new PlayerError("MANIFEST_INVALID", `The controller has no reset state ${spec.reset}.`);
        return await withSimulation(loader.simulation(controller.wiring.scene), (simulation) => {
          const disturbing = spec.disturbance && disturb(simulation, spec.disturbance, spec.seed ?? 0);
          const draws = () => (disturbing ? "random" : "none");
          const episode = DrivenEpisode.begin(simulation, controller, reset, draws, disturbing?.between);
          return drive(episode, simulation, spec.ticks, disturbing);
        });
      } finally {
        await controller.graph.release();
      }
    }
  }
}

function physics(simulation: Simulation, spec: Extract<RolloutSpec, { kind: "physics" }>): Rollout {
  simulation.reset({ qpos: spec.qpos, qvel: spec.qvel });
  const recorder = new Recorder(simulation);
  for (const ctrl of spec.ctrls) {
    simulation.setCtrl(ctrl);
    simulation.step(spec.stepsPerCtrl);
    recorder.state();
  }
  return recorder.finish();
}

async function drive(
  episode: DrivenEpisode,
  simulation: Simulation,
  ticks: number,
  disturbing: Disturbing | undefined,
): Promise<Rollout> {
  const recorder = new Recorder(simulation);
  let ended: EndOfEpisode = "";
  for (let tick = 0; tick < ticks; tick += 1) {
    ended = await observe(episode, disturbing !== undefined);
    recorder.decision(episode.ctrl, episode.standing.reward);
    if (ended) break;
    episode.advance(disturbing?.forces(episode.standing.timeSecs));
    recorder.state();
  }
  return { ...recorder.finish(), ended };
}

/** A disturbed robot whose simulation comes apart has failed, as one that falls: it is what was measured. */
async function observe(episode: DrivenEpisode, disturbed: boolean): Promise<EndOfEpisode> {
  try {
    return await episode.observe();
  } catch (error) {
    if (disturbed && error instanceof PlayerError && error.code === "PHYSICS_DIVERGED") return "done";
    throw error;
  }
}

class Recorder {
  readonly #beganMs = performance.now();
  readonly #qpos: number[][] = [];
  readonly #qvel: number[][] = [];
  readonly #ctrl: number[][] = [];
  readonly #reward: number[] = [];

  constructor(readonly simulation: Simulation) {}

  decision(ctrl: ArrayLike<number>, reward: number): void {
    this.#ctrl.push(Array.from(ctrl));
    this.#reward.push(reward);
  }

  state(): void {
    this.#qpos.push(Array.from(this.simulation.read("qpos")));
    this.#qvel.push(Array.from(this.simulation.read("qvel")));
  }

  finish(): Rollout {
    const wallMs = performance.now() - this.#beganMs;
    return { qpos: this.#qpos, qvel: this.#qvel, ctrl: this.#ctrl, reward: this.#reward, wallMs };
  }
}

async function withSimulation<T>(
  loading: Promise<Simulation>,
  use: (simulation: Simulation) => Promise<T>,
): Promise<T> {
  const simulation = await loading;
  try {
    return await use(simulation);
  } finally {
    simulation.dispose();
  }
}
