import { useSession } from "../app/session";
import { formatCount, formatEstimate, formatUsd, upperFirst } from "../format/format";
import type { EstimateRunResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import { useCommand } from "../stores/commands";
import { useStore } from "../stores/store";
import type { StudioState } from "../studio/useStudio";
import { Button } from "../ui/Button";
import { ArrowIcon, PlayIcon } from "../ui/icons";
import { FailureNotice, Notice } from "../ui/Notice";
import { StartFrom } from "./StartFrom";
import styles from "./StartPanel.module.css";
import { MoreSettings, StartSettings } from "./StartSettings";
import { TierChoice } from "./TierChoice";
import type { Start } from "./useStart";

interface StartPanelProps {
  readonly studio: StudioState;
  readonly start: Start;
  /** Whether a run for the same goal is shown, so that this is another. */
  readonly again: boolean;
}

/** The ways to the behaviour with what each takes, and the button that begins. */
export function StartPanel({ studio, start, again }: StartPanelProps) {
  const { health, startingPoints } = useSession();
  const { down } = useStore(health.store);
  const { choice, commanded, estimate, points } = start;
  const missing = start.offers.find(({ tier }) => tier === choice.tier)?.missing ?? "";
  const trains = choice.tier !== "command";
  const canTrain = trains && !missing && !start.starting && !down.includes("trainer") && !start.variedProblem;
  const name = choice.tier === "fine-tune" ? "Fine-tune" : again ? "Train again" : "Train";
  useCommand(
    {
      id: "training.start",
      title: name,
      group: "Training",
      keywords: ["train", "learn", "start", "run"],
      run: () => void start.train(),
    },
    canTrain && start.spec !== undefined,
  );
  return (
    <div className={styles.start} data-testid="start-panel">
      <TierChoice
        offers={start.offers}
        chosen={choice.tier}
        recommended={start.recommended}
        reason={start.reason}
        onChoose={(tier) => start.change({ tier })}
      />
      {start.pointsFailure && (
        <FailureNotice failure={start.pointsFailure} onRetry={() => startingPoints.reload(studio.environmentId)} />
      )}
      {choice.tier === "fine-tune" && !missing && (
        <StartFrom points={points} chosen={choice.startFrom} onChoose={(startFrom) => start.change({ startFrom })} />
      )}
      {trains && !missing && (
        <>
          <StartSettings choice={choice} reckoned={start.reckoned} onChange={start.change} />
          <div className={styles.estimate} data-testid="estimate">
            {estimate ? (
              <Estimate value={estimate} rented={choice.rented} />
            ) : (
              !start.estimateFailure && !start.variedProblem && <p>Estimating the time…</p>
            )}
          </div>
          {start.estimateFailure && <FailureNotice failure={start.estimateFailure} onRetry={start.retryEstimate} />}
          <div className={styles.actions}>
            <Button
              variant={again ? "secondary" : "primary"}
              busy={start.starting}
              disabled={!canTrain || !start.spec}
              onClick={() => void start.train()}
              data-testid="train"
            >
              {start.starting ? "Starting" : name}
              {!start.starting && <ArrowIcon />}
            </Button>
            <MoreSettings choice={choice} variedProblem={start.variedProblem} onChange={start.change} />
          </div>
        </>
      )}
      {!trains && !missing && (
        <>
          <Button
            variant="primary"
            className={styles.play}
            icon={<PlayIcon />}
            disabled={studio.policyId === commanded}
            onClick={() => studio.play(commanded)}
            data-testid="play-command"
          >
            {studio.policyId === commanded ? "It drives the robot" : "Play it now"}
          </Button>
          {studio.policyId === commanded && (
            <Notice tone="info" testId="command-hint">
              <p>Choose “Steer” under the robot, and tell it how fast to go and where to turn.</p>
            </Notice>
          )}
        </>
      )}
      {start.failure && <FailureNotice failure={start.failure} onRetry={() => void start.train()} />}
    </div>
  );
}

function Estimate({ value, rented }: { readonly value: EstimateRunResponse; readonly rented: boolean }) {
  const { durationSecs, startupSecs, queueSecs, measuredRuns, settings, costUsd, usdPerHour } = value;
  const basis =
    measuredRuns > 0
      ? `measured on ${measuredRuns} earlier ${measuredRuns === 1 ? "run" : "runs"} ${rented ? "there" : "here"}`
      : `a guess until ${rented ? "that GPU" : "this machine"} has trained it once`;
  return (
    <>
      <p className={styles.duration}>
        {upperFirst(formatEstimate(durationSecs))}
        {costUsd !== undefined && (
          <small>
            , about {formatUsd(costUsd)}
            {usdPerHour !== undefined && ` at ${formatUsd(usdPerHour)} an hour`}
          </small>
        )}
      </p>
      <p>
        {settings?.envSteps !== undefined && <>{formatCount(settings.envSteps)} steps of practice, </>}
        {startupSecs >= 1 && <>after {formatEstimate(startupSecs)} to get ready; </>}
        {basis}.{queueSecs >= 1 && <> It starts after {formatEstimate(queueSecs)}, when the run before it is done.</>}
        {costUsd !== undefined && <> By list prices; Modal sends the bill.</>}
      </p>
    </>
  );
}
