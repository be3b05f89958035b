import { create } from "@bufbuild/protobuf";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { MenagerieService } from "../gen/tabrl/scene/v1/menagerie_pb";
import {
  EnvironmentSchema,
  type EnvironmentSummary,
  EnvironmentSummarySchema,
  RobotInstallationStage,
  SceneBundleSchema,
  SceneService,
} from "../gen/tabrl/scene/v1/scene_pb";
import { pause } from "../rpc/reliability";
import { typedError } from "./typedError";

const ENVIRONMENTS = [
  {
    id: "CartpoleBalance",
    title: "Cartpole · Balance",
    robot: "Cartpole",
    task: "Keep the pole upright by moving the cart.",
    nu: 1,
  },
  { id: "CheetahRun", title: "Cheetah · Run", robot: "Cheetah", task: "Run forward as fast as possible.", nu: 6 },
  { id: "WalkerStand", title: "Walker · Stand", robot: "Walker", task: "Stand upright on two legs.", nu: 6 },
  { id: "WalkerWalk", title: "Walker · Walk", robot: "Walker", task: "Walk forward at one metre per second.", nu: 6 },
].map(({ id, title, robot, task, nu }) =>
  create(EnvironmentSummarySchema, {
    environmentId: id,
    category: "dm_control_suite",
    title,
    robot,
    description: task,
    actuatorCount: nu,
    dofCount: nu + 1,
    examplePrompts: [
      "keep the pole upright while swaying gently",
      "stand still in the middle",
      "swing the pole around",
    ],
  }),
);

const GO1 = create(EnvironmentSummarySchema, {
  environmentId: "Go1JoystickFlatTerrain",
  category: "locomotion",
  title: "Go1 · Joystick, flat ground",
  robot: "Go1",
  description: "Trot at the speed and turning rate that a joystick commands.",
  actuatorCount: 12,
});
const MENAGERIE = [
  { robot: "unitree_go1", mainFile: "scene.xml", title: "Unitree Go1", licences: ["BSD-3-Clause"] },
  { robot: "unitree_g1", mainFile: "scene.xml", title: "Unitree G1", licences: ["BSD-3-Clause"] },
  { robot: "unitree_g1", mainFile: "scene_with_hands.xml", title: "Unitree G1 · with hands", licences: [] },
];
const DOWNLOAD_BYTES = 180_168_576n;

/** What the scenes in memory share with the rest of the backend. */
interface Surroundings {
  readonly guard: () => void;
  readonly stepMs: number;
  /** Whether there is a robot that is not there until it is installed; undefined for no such robot. */
  readonly robotMissing: boolean | undefined;
}

/** Environments, and a robot that can be downloaded, in memory. */
export function serveScenes({ service }: ConnectRouter, { guard, stepMs, ...first }: Surroundings): void {
  let { robotMissing } = first;
  const added: EnvironmentSummary[] = [];
  const known = () => [...ENVIRONMENTS, GO1, ...added];
  service(SceneService, {
    listEnvironments: () => {
      guard();
      const robot = robotMissing === undefined ? [] : [{ ...GO1, robotMissing }];
      const environments = [...ENVIRONMENTS, ...robot, ...added];
      const robotDownload = robotMissing ? { robotDownload: { downloadBytes: DOWNLOAD_BYTES } } : {};
      return { environments, totalSize: environments.length, ...robotDownload };
    },
    getEnvironment: ({ environmentId }) => {
      guard();
      const summary = known().find((each) => each.environmentId === environmentId);
      if (summary === GO1 && robotMissing) {
        const metadata = { robot: "unitree_go1", download_bytes: String(DOWNLOAD_BYTES) };
        throw typedError(Code.FailedPrecondition, "ROBOT_NOT_INSTALLED", "the robot is not installed", [], metadata);
      }
      if (!summary) {
        const metadata = { environment_id: environmentId, nearest: "CartpoleBalance" };
        throw typedError(Code.NotFound, "ENVIRONMENT_NOT_FOUND", `no environment ${environmentId}`, [], metadata);
      }
      const timing = {
        controlPeriodSecs: 0.01,
        physicsTimestepSecs: 0.01,
        physicsStepsPerControl: 1,
        episodeLength: 1000,
      };
      return { environment: create(EnvironmentSchema, { summary, timing, commandSize: summary === GO1 ? 3 : 0 }) };
    },
    getSceneBundle: ({ environmentId }) => {
      guard();
      if (!known().some((each) => each.environmentId === environmentId)) {
        throw typedError(Code.NotFound, "ENVIRONMENT_NOT_FOUND", `no environment ${environmentId}`);
      }
      return { bundle: create(SceneBundleSchema, { environmentId, xml: { sha256: "c".repeat(64) } }) };
    },
    async *installRobots({ acceptedDownloadBytes }) {
      guard();
      if (acceptedDownloadBytes !== DOWNLOAD_BYTES) {
        const field = "accepted_download_bytes";
        throw typedError(Code.InvalidArgument, "INVALID_FIELD", "another size", [[field, "another size"]]);
      }
      const downloadBytes = DOWNLOAD_BYTES;
      yield {
        stage: RobotInstallationStage.DOWNLOADING,
        downloadedBytes: 90_000_000n,
        downloadBytes,
        message: "half",
      };
      await pause(stepMs);
      robotMissing = false;
      yield { stage: RobotInstallationStage.READY, downloadedBytes: downloadBytes, downloadBytes, message: "ready" };
    },
  });
  service(MenagerieService, {
    listMenagerieScenes: () => {
      guard();
      const scenes = MENAGERIE.map((scene) => {
        const environment = added.find(({ title }) => title === scene.title);
        return { ...scene, environmentId: environment?.environmentId ?? "" };
      });
      return { scenes };
    },
    addMenagerieScene: async ({ robot, mainFile }) => {
      guard();
      const scene = MENAGERIE.find((each) => each.robot === robot && each.mainFile === mainFile);
      if (!scene)
        throw typedError(Code.InvalidArgument, "INVALID_FIELD", "no such scene", [["robot", "none of those"]]);
      await pause(stepMs);
      const { title } = scene;
      const about = { environmentId: `custom-${robot}`, category: "custom", title, robot: title, actuatorCount: 12 };
      const summary = create(EnvironmentSummarySchema, about);
      added.push(summary);
      return { environment: create(EnvironmentSchema, { summary }) };
    },
  });
}
