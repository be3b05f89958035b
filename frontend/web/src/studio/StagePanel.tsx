import { Suspense, useCallback, useMemo, useState } from "react";
import { loadLater } from "../app/loadLater";
import { formatCount } from "../format/format";
import type { PlayerTick } from "../player";
import { Checkpoints } from "../policies/Checkpoints";
import { createStore } from "../stores/store";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { PauseIcon, PlayIcon, RestartIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import { Pill } from "../ui/Pill";
import { LiveTerms } from "./LiveTerms";
import styles from "./StagePanel.module.css";
import type { StudioState } from "./useStudio";

const { Component: RobotStage } = loadLater(async () => (await import("../player")).RobotStage);

const SPEEDS = [0.25, 0.5, 1, 2];

interface StagePanelProps {
  readonly studio: StudioState;
  readonly highlighted: string;
  readonly onHighlight: (term: string) => void;
}

/** The robot, what drives it, and what it is rewarded for at this moment. */
export function StagePanel({ studio, highlighted, onHighlight }: StagePanelProps) {
  const { bundle, policy } = studio;
  const ticks = useMemo(() => createStore<PlayerTick | undefined>(undefined), []);
  const [playing, setPlaying] = useState(true);
  const [speed, setSpeed] = useState(1);
  const [episode, setEpisode] = useState(0);
  const [attempt, setAttempt] = useState(0);
  const [ready, setReady] = useState(false);
  const [drivingSha256, setDrivingSha256] = useState("");
  const [policyProblem, setPolicyProblem] = useState("");
  const [error, setError] = useState<Error>();
  const onTick = useCallback((tick: PlayerTick) => ticks.set(tick), [ticks]);
  const retry = () => {
    setError(undefined);
    setReady(false);
    setAttempt(attempt + 1);
  };

  return (
    <section className={styles.panel} aria-label="The robot">
      <div className={styles.stage} data-testid="stage">
        {bundle.value && (
          <Boundary what="The simulation">
            <Suspense>
              <RobotStage
                key={attempt}
                bundle={bundle.value}
                policy={policy.value ?? null}
                playing={playing}
                speed={speed}
                episode={episode}
                onTick={onTick}
                onReady={() => setReady(true)}
                onPolicy={({ controllerSha256 }) => {
                  setDrivingSha256(controllerSha256);
                  setPolicyProblem("");
                }}
                onPolicyError={({ message }) => setPolicyProblem(message)}
                onError={setError}
              />
            </Suspense>
          </Boundary>
        )}
        {!ready && !error && !bundle.failure && (
          <p className={styles.loading}>
            <span className={styles.spinner} aria-hidden="true" />
            Setting up the simulation
          </p>
        )}
        <div className={styles.top}>
          <PolicyStatus
            studio={studio}
            ready={ready}
            driving={drivingSha256 !== "" && drivingSha256 === policy.value?.controller?.sha256}
            problem={policyProblem}
          />
        </div>
        <div className={styles.controls}>
          <Button
            size="small"
            icon={playing ? <PauseIcon /> : <PlayIcon />}
            aria-label={playing ? "Pause" : "Play"}
            title={playing ? "Pause" : "Play"}
            onClick={() => setPlaying(!playing)}
            data-testid="play-pause"
          />
          <Button
            size="small"
            icon={<RestartIcon />}
            aria-label="Start a new episode"
            title="Start a new episode"
            onClick={() => setEpisode(episode + 1)}
            data-testid="reset"
          />
          <label className={styles.speed}>
            <span className="hidden-visually">Speed</span>
            <select value={speed} onChange={(event) => setSpeed(Number(event.target.value))}>
              {SPEEDS.map((value) => (
                <option key={value} value={value}>
                  {value}×
                </option>
              ))}
            </select>
          </label>
        </div>
        {(error || (bundle.failure && !bundle.value)) && (
          <div className={styles.failure}>
            {error && (
              <Notice
                tone="danger"
                testId="error"
                title="The simulation stopped"
                action={
                  <Button size="small" onClick={retry}>
                    Start it again
                  </Button>
                }
              >
                <p>{error.message}</p>
              </Notice>
            )}
            {!error && bundle.failure && <FailureNotice failure={bundle.failure} />}
          </div>
        )}
      </div>
      <Checkpoints studio={studio} />
      <LiveTerms
        ticks={ticks}
        termNames={studio.termNames}
        driven={policy.value !== undefined}
        highlighted={highlighted}
        onHighlight={onHighlight}
      />
    </section>
  );
}

interface PolicyStatusProps {
  readonly studio: StudioState;
  readonly ready: boolean;
  readonly driving: boolean;
  /** Why the policy could not be loaded; empty when it could. */
  readonly problem: string;
}

function PolicyStatus({ studio, ready, driving, problem }: PolicyStatusProps) {
  const { policyId, policy, running, run } = studio;
  const final = run?.run.checkpoints.find((checkpoint) => checkpoint.policyId === policyId)?.final ?? false;
  const drives = ready && driving && policy.value?.policyId === policyId;
  let text = "Nobody is steering yet";
  if (policyId) {
    const steps = policy.value ? `${formatCount(policy.value.envSteps)} steps of practice` : "";
    if (problem && !drives) text = `This policy could not be loaded: ${problem}`;
    else if (policy.failure && !policy.value) text = "This policy cannot be loaded";
    else if (!drives) text = "Loading the policy";
    else if (!running && policyId === studio.bestPolicyId) text = `The best policy, after ${steps}`;
    else text = final && !running ? `The last policy, after ${steps}` : `Steered after ${steps}`;
  } else if (running) text = "Waiting for the first policy";
  return (
    <div data-testid="policy-status" data-policy-id={drives ? policyId : ""} aria-live="polite">
      <Pill tone={drives ? "live" : "neutral"}>{text}</Pill>
    </div>
  );
}
