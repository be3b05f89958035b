import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useKeys } from "../app/keys";
import type { CommandSpec, PlayerTick, ReadyInfo, RobotStageHandle } from "../player";
import { createStore, type Store, useStore } from "../stores/store";
import { createThemeSwitch } from "../stores/theme";
import { CommandPad } from "../studio/CommandPad";
import { Drawer } from "../studio/Drawer";
import { createDriving, joystickAmong } from "../studio/driving";
import { LiveTerms } from "../studio/LiveTerms";
import { PullHint } from "../studio/PullHint";
import { PushPad } from "../studio/PushPad";
import { headingOf, type PushWay, pushDirection, USUAL_PUSH } from "../studio/pushing";
import { useDriving } from "../studio/useDriving";
import { usePlayback } from "../studio/usePlayback";
import { useStageActions } from "../studio/useStageActions";
import { usePlaybackCommands, usePushCommands } from "../studio/useStageCommands";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { Pill } from "../ui/Pill";
import { ThemePicker } from "../ui/ThemePicker";
import { SHARE_SPEEDS, ShareControls, type ShareDrawer } from "./ShareControls";
import styles from "./SharedStage.module.css";
import type { SharedPolicy } from "./sharedPolicy";

// The title and the card are there while the drawing and the engines are still on their way.
const RobotStage = lazy(async () => ({ default: (await import("../player")).RobotStage }));

const NO_COMMANDS: readonly CommandSpec[] = [];

/** The robot, driven in this tab, with what a visitor can do to it and what it earns. `shared` is absent while it loads. */
export function SharedStage({ shared }: { readonly shared: SharedPolicy | undefined }) {
  const ticks = useMemo(() => createStore<PlayerTick | undefined>(undefined), []);
  const theme = useMemo(createThemeSwitch, []);
  const stage = useRef<RobotStageHandle>(null);
  const panel = useRef<HTMLElement>(null);
  const playback = usePlayback(SHARE_SPEEDS);
  const [drawer, setDrawer] = useState<ShareDrawer>("");
  const [strength, setStrength] = useState(USUAL_PUSH);
  const [attempt, setAttempt] = useState(0);
  const [ready, setReady] = useState<ReadyInfo>();
  const [driven, setDriven] = useState(false);
  const [specs, setSpecs] = useState(NO_COMMANDS);
  const [error, setError] = useState<Error>();
  const [highlighted, setHighlighted] = useState("");
  const onTick = useCallback((tick: PlayerTick) => ticks.set(tick), [ticks]);

  const driving = useMemo(createDriving, []);
  const commands = useStore(driving.held);
  const joystick = useMemo(() => joystickAmong(specs), [specs]);
  useEffect(() => driving.fit(specs), [driving, specs]);
  const gamepad = useDriving({ driving, joystick, around: panel, arrows: drawer === "drive" });

  const onAction = useStageActions(playback, stage);
  const onPush = (way: PushWay) => {
    const heading = headingOf(ticks.get()?.qpos ?? [], ready?.joints ?? []);
    stage.current?.shove(pushDirection(way, heading), strength);
  };
  usePlaybackCommands({ playing: playback.playing, ready: ready !== undefined, onAction });
  usePushCommands({ ready: ready !== undefined, onPush });
  useKeys();

  const again = () => {
    setError(undefined);
    setDriven(false);
    setReady(undefined);
    setAttempt(attempt + 1);
  };

  return (
    <section ref={panel} className={styles.panel} aria-label="The robot">
      <div className={styles.frame}>
        <div className={styles.stage} data-testid="stage">
          {shared && (
            <Boundary what="The simulation">
              <Suspense>
                <RobotStage
                  key={attempt}
                  ref={stage}
                  bundle={shared.bundle}
                  policy={shared.policy}
                  artifacts={shared.files}
                  playing={playback.playing}
                  speed={playback.speed}
                  episode={playback.episode}
                  contacts={playback.contacts}
                  commands={commands}
                  onTick={onTick}
                  onReady={setReady}
                  onPolicy={(info) => {
                    setDriven(info.controllerSha256 !== "");
                    setSpecs(info.commands);
                  }}
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
            <div className={styles.right}>
              {driven && <Clock ticks={ticks} />}
              <div className={styles.theme}>
                <ThemePicker theme={theme} />
              </div>
            </div>
          </div>
          {driven && drawer === "" && (
            <div className={styles.hint}>
              <PullHint ticks={ticks} />
            </div>
          )}
          <ShareControls
            playback={playback}
            onAction={onAction}
            drawer={drawer}
            onDrawer={setDrawer}
            drivable={specs.length > 0}
          />
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
        {drawer === "drive" && specs.length > 0 && (
          <Drawer title="Steer" testId="drive-panel" onClose={() => setDrawer("")}>
            <CommandPad specs={specs} joystick={joystick} driving={driving} gamepad={gamepad} />
          </Drawer>
        )}
        {drawer === "push" && (
          <Drawer title="Push" testId="push-panel" onClose={() => setDrawer("")}>
            <PushPad ready={ready !== undefined} strength={strength} onStrength={setStrength} onPush={onPush} />
          </Drawer>
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
