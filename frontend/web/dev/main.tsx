// The page with rewards, runs and policies from the in-memory services of src/testing, for work on how it looks and behaves;
// environments and their files still come from the gateway that `npm run dev` passes calls on to. Not part of the build.
import { createRoot } from "react-dom/client";
import { App } from "../src/app/App";
import { createSession, SessionProvider } from "../src/app/session";
import { RunState } from "../src/gen/tabrl/trainer/v1/trainer_pb";
import { createClients, gatewayTransport } from "../src/rpc/clients";
import { pause } from "../src/rpc/reliability";
import { type Backend, createBackend } from "../src/testing/backend";
import "../src/styles/fonts.css";
import "../src/styles/tokens.css";
import "../src/styles/base.css";

const STEPS = 2_000_000;
const MODELS = [
  { name: "first/large", title: "An LLM", description: "Understands free wording." },
  { name: "library", title: "Built-in library", description: "Needs no LLM." },
];
const TICKS = 60;

/** Plays a run as a trainer would tell it. */
async function play(backend: Backend, runId: string): Promise<void> {
  await pause(500);
  backend.append(runId, { case: "stateChanged", value: { state: RunState.STARTING } });
  await pause(1500);
  backend.append(runId, { case: "stateChanged", value: { state: RunState.RUNNING } });
  for (let tick = 1; tick <= TICKS; tick++) {
    await pause(250);
    if ((backend.runs.get(runId)?.state ?? 0) > RunState.RUNNING) return;
    const share = tick / TICKS;
    const upright = 900 / (1 + Math.exp(-9 * (share - 0.35))) + 25 * Math.sin(tick);
    const centred = 380 * share ** 1.5;
    const effort = -60 * share * Math.exp(-share);
    const envSteps = BigInt(Math.round(STEPS * share));
    const returns = { episodeReturn: upright + centred + effort, termReturns: { upright, centred, effort } };
    const value = {
      envSteps,
      projectedReturn: upright + centred,
      envStepsPerSec: 25_000 + 1500 * Math.sin(tick * 1.7),
      elapsedSecs: tick,
      remainingSecs: (TICKS - tick) * 0.25,
      ...(tick > 4 ? { ...returns, survival: Math.min(1, share * 1.4), episodeShare: Math.min(1, share * 1.6) } : {}),
    };
    backend.append(runId, { case: "metrics", value });
    if (tick % 10 === 0) {
      const sha256 = tick.toString(16).padStart(64, "0");
      const policyId = `${runId}-policy-${tick}`;
      const final = tick === TICKS;
      const episodeReturn = returns.episodeReturn;
      backend.append(runId, { case: "checkpoint", value: { envSteps, artifact: { sha256 }, episodeReturn, final } });
      backend.putPolicy({
        policyId,
        environmentId: backend.runs.get(runId)?.spec?.environmentId ?? "",
        runId,
        envSteps,
      });
      backend.append(runId, {
        case: "policyPublished",
        value: { envSteps, checkpointSha256: sha256, policyId, final },
      });
    }
  }
  backend.append(runId, { case: "stateChanged", value: { state: RunState.SUCCEEDED } });
}

const backend = createBackend({ stepMs: 400, models: MODELS });
const clients = createClients(backend.transport);
const { createRun } = clients.trainer;
clients.trainer.createRun = async (request, options) => {
  const response = await createRun(request, options);
  if (response.run) void play(backend, response.run.runId);
  return response;
};

const session = createSession({ ...clients, scene: createClients(gatewayTransport()).scene });
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <SessionProvider value={session}>
      <App />
    </SessionProvider>,
  );
}
