import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import type { PlayerTick } from "../player";
import { createStore, type Store, useStore } from "../stores/store";
import { LiveTerms } from "../studio/LiveTerms";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { PauseIcon, PlayIcon, RestartIcon } from "../ui/icons";
import { Notice } from "../ui/Notice";
import { Pill } from "../ui/Pill";
import styles from "./SharedStage.module.css";
import type { SharedPolicy } from "./sharedPolicy";

// The title and the card are there while the drawing and the engines are still on their way.
const RobotStage = lazy(async () => ({ default: (await import("../player")).RobotStage }));

const SPEEDS = [0.25, 0.5, 1, 2];

/** The robot, driven in this tab, with what a visitor can do to it and what it earns. `shared` is absent while it loads. */
export function SharedStage({ shared }: { readonly shared: SharedPolicy | undefined }) {
  const ticks = useMemo(() => createStore<PlayerTick | undefined>(undefined), []);
  const [playing, setPlaying] = useState(true);
  const [speed, setSpeed] = useState(1);
  const [episode, setEpisode] = useState(0);
  const [attempt, setAttempt] = useState(0);
  const [driven, setDriven] = useState(false);
  const [error, setError] = useState<Error>();
  const [highlighted, setHighlighted] = useState("");
  const onTick = useCallback((tick: PlayerTick) => ticks.set(tick), [ticks]);
  const again = () => {
    setError(undefined);
    setDriven(false);
    setAttempt(attempt + 1);
  };

  return (
    <section className={styles.panel} aria-label="The robot">
      <div className={styles.stage} data-testid="stage">
        {shared && (
          <Boundary what="The simulation">
            <Suspense>
              <RobotStage
                key={attempt}
                bundle={shared.bundle}
                policy={shared.policy}
                artifacts={shared.files}
                playing={playing}
                speed={speed}
                episode={episode}
                onTick={onTick}
                onPolicy={({ controllerSha256 }) => setDriven(controllerSha256 !== "")}
                onPolicyError={setError}
                onError={setError}
              />
            </Suspense>
          </Boundary>
        )}
        <div className={styles.top}>
          {driven ? (
            <Pill tone="live" testId="driven">
              Driven in this tab
            </Pill>
          ) : (
            !error && <Pill>Setting up the simulation</Pill>
          )}
          {driven && <Clock ticks={ticks} />}
        </div>
        <div className={styles.controls}>
          <Button
            icon={playing ? <PauseIcon /> : <PlayIcon />}
            aria-label={playing ? "Pause" : "Play"}
            onClick={() => setPlaying(!playing)}
            data-testid="play-pause"
          />
          <Button
            icon={<RestartIcon />}
            aria-label="Start a new episode"
            onClick={() => setEpisode(episode + 1)}
            data-testid="reset"
          />
          <fieldset className={styles.speeds}>
            <legend className="hidden-visually">Speed</legend>
            {SPEEDS.map((value) => (
              <button
                key={value}
                type="button"
                aria-pressed={speed === value}
                onClick={() => setSpeed(value)}
                data-testid={`speed-${value}`}
              >
                {value}×
              </button>
            ))}
          </fieldset>
        </div>
        {error && (
          <div className={styles.failure}>
            <Notice
              tone="danger"
              testId="error"
              title="The robot cannot be driven"
              action={
                <Button size="small" onClick={again}>
                  Try again
                </Button>
              }
            >
              <p>{error.message}</p>
            </Notice>
          </div>
        )}
      </div>
      <div className={styles.terms} data-testid="terms">
        <LiveTerms
          ticks={ticks}
          termNames={shared?.manifest.terms.map(({ name }) => name) ?? []}
          driven={driven}
          highlighted={highlighted}
          onHighlight={setHighlighted}
        />
      </div>
    </section>
  );
}

function Clock({ ticks }: { readonly ticks: Store<PlayerTick | undefined> }) {
  const timeSecs = useStore(ticks)?.timeSecs ?? 0;
  return <span className={`${styles.clock} number`}>{timeSecs.toFixed(1)} s</span>;
}
