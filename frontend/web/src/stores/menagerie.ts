import type { MenagerieScene } from "../gen/tabrl/scene/v1/menagerie_pb";
import type { Environment } from "../gen/tabrl/scene/v1/scene_pb";
import type { Clients } from "../rpc/clients";
import { type Failure, failureFrom } from "../rpc/failure";
import { ALL, createResources, type Resources } from "./resource";
import { createStore, type Store } from "./store";

/** What is being made of a scene of Menagerie, or why that failed. */
export interface Adding {
  /** The scene that was chosen last. */
  readonly scene: MenagerieScene;
  readonly failure?: Failure;
}

/** Robots of MuJoCo Menagerie that are on this machine. */
export interface Menagerie {
  /** All scenes, under the key ALL. */
  readonly scenes: Resources<readonly MenagerieScene[]>;
  readonly adding: Store<Adding | undefined>;
  /** Has an environment made of a scene; undefined when that failed (the store says why) or another one is under way. */
  add(scene: MenagerieScene): Promise<Environment | undefined>;
  /** Forgets a failure. */
  dismiss(): void;
}

/** Reading a large robot takes a quarter of a minute, on a busy machine more. */
const ADDING_DEADLINE_MS = 120_000;

export function createMenagerie({ menagerie }: Pick<Clients, "menagerie">): Menagerie {
  const scenes = createResources(async () => (await menagerie.listMenagerieScenes({})).scenes);
  const adding = createStore<Adding | undefined>(undefined);
  return {
    scenes,
    adding,
    async add(scene) {
      const before = adding.get();
      if (before && !before.failure) return undefined;
      adding.set({ scene });
      try {
        const { robot, mainFile } = scene;
        const { environment } = await menagerie.addMenagerieScene(
          { robot, mainFile },
          { timeoutMs: ADDING_DEADLINE_MS },
        );
        adding.set(undefined);
        scenes.reload(ALL);
        return environment;
      } catch (thrown) {
        adding.set({ scene, failure: failureFrom(thrown) });
        return undefined;
      }
    },
    dismiss: () => adding.set(undefined),
  };
}

/** Robot and file, which no two scenes share. */
export function menagerieKey({ robot, mainFile }: MenagerieScene): string {
  return `${robot}/${mainFile}`;
}
