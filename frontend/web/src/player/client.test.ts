import { describe, expect, it } from "vitest";
import { PlayerClient, type WorkerPort } from "./client";
import type { Command, PlayerTick, Report, Rollout } from "./protocol";

/** The other end of a worker port, without the worker. */
function port() {
  const told: Command[] = [];
  const listeners = new Map<string, (event: unknown) => void>();
  let ended = false;
  const worker: WorkerPort = {
    postMessage: (command: Command) => told.push(command),
    terminate: () => {
      ended = true;
    },
    addEventListener: (type: string, listener: unknown) => {
      listeners.set(type, listener as (event: unknown) => void);
    },
  };
  return {
    worker,
    told,
    report: (report: Report) => listeners.get("message")?.({ data: report }),
    fail: (message: string) => listeners.get("error")?.({ message, preventDefault: () => undefined }),
    get ended() {
      return ended;
    },
  };
}

const scene = { environmentId: "CartpoleBalance", xml: { sha256: "a".repeat(64) }, assets: [] };
const rollout: Rollout = { qpos: [[1]], qvel: [[0]], ctrl: [], reward: [], wallMs: 1 };
const tick: PlayerTick = {
  timeSecs: 0,
  step: 0,
  episode: 1,
  driven: false,
  controllerSha256: "",
  reward: 0,
  terms: {},
  episodeReturn: 0,
  lastEpisodeReturn: undefined,
  realTimeFactor: 1,
  qpos: new Float64Array(),
  ctrl: new Float64Array(),
  grabbed: false,
  ended: "",
};

function snapshot(generation: number): Report {
  return { type: "snapshot", lane: 0, generation, tick, poses: new Float32Array(0), dueMs: 0 };
}

describe("PlayerClient", () => {
  it("drops reports on a scene that was replaced meanwhile", () => {
    const { worker, report } = port();
    const shown: Report[] = [];
    const client = new PlayerClient({
      on: { snapshot: (seen) => shown.push(seen) },
      onCrash: () => undefined,
      startWorker: () => worker,
    });
    client.loadScene(scene);
    client.loadScene(scene);

    report(snapshot(1));
    report(snapshot(2));

    expect(shown.map((seen) => seen.type === "snapshot" && seen.generation)).toEqual([2]);
  });

  it("answers each rollout with its own outcome", async () => {
    const { worker, report, told } = port();
    const client = new PlayerClient({ on: {}, onCrash: () => undefined, startWorker: () => worker });
    const spec = { kind: "physics", scene, qpos: [0], qvel: [0], ctrls: [], stepsPerCtrl: 1 } as const;
    const [first, second] = [client.rollOut(spec), client.rollOut(spec)];
    const ids = told.flatMap((command) => (command.type === "rollout" ? [command.id] : []));

    report({ type: "rolloutFailed", id: ids[1] ?? 0, fault: { code: "SCENE_INVALID", message: "no" } });
    report({ type: "rolledOut", id: ids[0] ?? 0, rollout });

    expect(await first).toEqual(rollout);
    await expect(second).rejects.toMatchObject({ code: "SCENE_INVALID" });
  });

  it("says once that the worker ended, ends what was waiting, and falls silent", async () => {
    const { worker, fail, report, told } = port();
    const crashes: string[] = [];
    const client = new PlayerClient({
      on: { snapshot: () => crashes.push("snapshot after the end") },
      onCrash: ({ code }) => crashes.push(code),
      startWorker: () => worker,
    });
    client.loadScene(scene);
    const waiting = client.rollOut({ kind: "physics", scene, qpos: [], qvel: [], ctrls: [], stepsPerCtrl: 1 });

    fail("out of memory");
    fail("again");
    report(snapshot(1));
    client.reset();

    await expect(waiting).rejects.toMatchObject({ code: "WORKER_CRASHED" });
    expect(crashes).toEqual(["WORKER_CRASHED"]);
    expect(told.at(-1)?.type).toBe("rollout");
  });

  it("says first where files are", () => {
    const { worker, told } = port();

    const client = new PlayerClient({
      on: {},
      onCrash: () => undefined,
      artifacts: "https://somewhere.example/files",
      startWorker: () => worker,
    });
    client.loadScene(scene);

    expect(told.map(({ type }) => type)).toEqual(["start", "loadScene"]);
    expect(told[0]).toEqual({ type: "start", artifacts: "https://somewhere.example/files" });
  });
});
