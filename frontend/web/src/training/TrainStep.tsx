import { useState } from "react";
import { useSession } from "../app/session";
import { formatCount, formatEstimate } from "../format/format";
import { type EstimateRunResponse, RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { type Failure, failureFrom } from "../rpc/failure";
import { newRequestId } from "../rpc/requestId";
import { useStore } from "../stores/store";
import { Step } from "../studio/Step";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { ArrowIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { RunPanel } from "./RunPanel";
import { RunStatePill } from "./RunStatePill";
import { type Choice, LENGTHS, specOf, trainsSame } from "./spec";
import styles from "./TrainStep.module.css";
import { useEstimate } from "./useEstimate";

const CREATE_DEADLINE_MS = 30_000;

interface TrainStepProps {
  readonly studio: StudioState;
  readonly highlighted: string;
}

/** Step 3: what it would take, the start, and the run as it happens. */
export function TrainStep({ studio, highlighted }: TrainStepProps) {
  const { clients, runs, health, navigation } = useSession();
  const { down } = useStore(health.store);
  const [choice, setChoice] = useState<Choice>({ length: "Standard", seed: 0 });
  const [standardSteps, setStandardSteps] = useState<bigint>();
  const [starting, setStarting] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const [revealed, setRevealed] = useState("");
  const spec = specOf(studio, choice, standardSteps);
  const { run, runFailure, running } = studio;
  // A run that ended is one more measurement to reckon with.
  const estimate = useEstimate(spec, running ? "" : (run?.run.runId ?? ""));

  const told = estimate.value?.settings?.envSteps;
  if (told !== undefined && choice.length === "Standard" && told !== standardSteps) setStandardSteps(told);

  // While a run trains just this, there is nothing to start; another goal may be queued behind it.
  const repeated = !running && trainsSame(spec, run?.run.spec);
  const offered = spec !== undefined && !(running && trainsSame(spec, run?.run.spec));
  const trained = run?.run.state === RunState.SUCCEEDED;
  const state = trained && !running ? "done" : run || offered ? "now" : "later";

  async function train() {
    if (!spec) return;
    setStarting(true);
    setFailure(undefined);
    try {
      const request = { spec, requestId: newRequestId() };
      const { run: created } = await clients.trainer.createRun(request, { timeoutMs: CREATE_DEADLINE_MS });
      if (!created) throw new Error("the answer holds no run");
      runs.put(created);
      studio.openRun(created.runId);
      setRevealed(created.runId);
    } catch (thrown) {
      setFailure(failureFrom(thrown));
      health.check();
    } finally {
      setStarting(false);
    }
  }

  const start = (
    <div className={styles.start}>
      <fieldset className={styles.lengths}>
        <legend className="hidden-visually">How long to practise</legend>
        {LENGTHS.map(({ name }) => (
          <label key={name}>
            <input
              type="radio"
              name="length"
              checked={choice.length === name}
              disabled={name !== "Standard" && standardSteps === undefined}
              onChange={() => setChoice({ ...choice, length: name })}
            />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <div className={styles.estimate} data-testid="estimate">
        {estimate.value ? <Estimate value={estimate.value} /> : !estimate.failure && <p>Estimating the time…</p>}
      </div>
      {estimate.failure && <FailureNotice failure={estimate.failure} onRetry={estimate.retry} />}
      <div className={styles.actions}>
        <Button
          variant={run ? "secondary" : "primary"}
          busy={starting}
          disabled={down.includes("trainer")}
          onClick={() => void train()}
          data-testid="train"
        >
          {starting ? "Starting" : run ? "Train again" : "Train"}
          {!starting && <ArrowIcon />}
        </Button>
        <details className={styles.more}>
          <summary>More settings</summary>
          <label>
            Seed of all chance
            <input
              className={fieldStyles.input}
              type="number"
              min={0}
              step={1}
              value={choice.seed}
              onChange={(event) => {
                const seed = event.target.valueAsNumber;
                if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31) setChoice({ ...choice, seed });
              }}
            />
          </label>
        </details>
      </div>
      {failure && <FailureNotice failure={failure} onRetry={() => void train()} />}
    </div>
  );

  return (
    <Step
      reveal={revealed}
      number={3}
      title="Train"
      state={state}
      intro="Many copies of the robot practise at once on this machine. Every so often the newest policy, the part that decides how to move, takes over the robot on the stage."
      aside={run && <RunStatePill state={run.run.state} testId="run-state" />}
    >
      {runFailure && (
        <FailureNotice
          failure={runFailure}
          wayOn={{ label: "Go on without it", take: () => navigation.refine({ runId: "" }) }}
        />
      )}
      {run && <RunPanel record={run} studio={studio} highlighted={highlighted} />}
      {offered && !repeated && start}
      {offered && repeated && (
        <details className={styles.again}>
          <summary>Train it again</summary>
          {start}
        </details>
      )}
    </Step>
  );
}

function Estimate({ value }: { readonly value: EstimateRunResponse }) {
  const { durationSecs, startupSecs, queueSecs, measuredRuns, settings } = value;
  const basis =
    measuredRuns > 0
      ? `measured on ${measuredRuns} earlier ${measuredRuns === 1 ? "run" : "runs"} here`
      : "a guess until this machine has trained it once";
  return (
    <>
      <p className={styles.duration}>{upperFirst(formatEstimate(durationSecs))}</p>
      <p>
        {settings?.envSteps !== undefined && <>{formatCount(settings.envSteps)} steps of practice, </>}
        {startupSecs >= 1 && <>after {formatEstimate(startupSecs)} to get ready; </>}
        {basis}.{queueSecs >= 1 && <> It starts after {formatEstimate(queueSecs)}, when the run before it is done.</>}
      </p>
    </>
  );
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
