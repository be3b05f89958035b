import { Suspense, useEffect, useMemo, useRef, useState } from "react";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import { formatCount } from "../format/format";
import type { RobotStageHandle } from "../player";
import { useStore } from "../stores/store";
import { Boundary } from "../ui/Boundary";
import { createDriving, joystickAmong } from "./driving";
import { LiveTerms } from "./LiveTerms";
import { PullHint } from "./PullHint";
import { headingOf, type PushWay, pushDirection, USUAL_PUSH } from "./pushing";
import { StageDrawer } from "./StageDrawer";
import { StageHead } from "./StageHead";
import styles from "./StagePanel.module.css";
import { StagePoster } from "./StagePoster";
import { StageTroubles } from "./StageTroubles";
import { StepSlider } from "./StepSlider";
import { fileNameOf, saveFile } from "./saveFile";
import { type Drawer, Toolbar } from "./Toolbar";
import { useDriving } from "./useDriving";
import { usePlayback } from "./usePlayback";
import { usePlayer } from "./usePlayer";
import { useRecording } from "./useRecording";
import { useStageActions } from "./useStageActions";
import { useStageCommands } from "./useStageCommands";
import type { StudioState } from "./useStudio";

const { Component: RobotStage } = loadLater(async () => (await import("../player")).RobotStage);

interface StagePanelProps {
  readonly studio: StudioState;
  readonly highlighted: string;
  readonly onHighlight: (term: string) => void;
  /** Told when the robot is there. */
  readonly onReady: () => void;
}

/** The robot, what drives it, what a person can do to it, and what it is rewarded for at this moment. */
export function StagePanel({ studio, highlighted, onHighlight, onReady }: StagePanelProps) {
  const { bundle } = studio;
  const [drawer, setDrawer] = useState<Drawer>("");
  const [released, setReleased] = useState(false);
  const [held, setHeld] = useState(false);
  const [strength, setStrength] = useState(USUAL_PUSH);
  const [mishap, setMishap] = useState("");
  const stage = useRef<RobotStageHandle>(null);
  const panel = useRef<HTMLElement>(null);
  const playback = usePlayback();
  const player = usePlayer(playback.speed);
  const ready = player.ready !== undefined && !player.error;
  // That there is no robot, and what to do about it, stands where the steps would.
  const saidBeside = studio.environmentAbsent || bundle.failure?.reason === "ROBOT_NOT_INSTALLED";
  useEffect(() => {
    if (ready) onReady();
  }, [ready, onReady]);

  const driver = studio.policy.value ?? (studio.pretrained.wanted ? studio.pretrained.known?.policy : undefined);
  const driven = driver !== undefined && !released && !held;
  const { policyId: chosen, runId } = useStore(useSession().navigation.place);
  // Another policy that the person asks for drives; what they held of the motors is over. One that training brings waits for them.
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for is what triggers it
  useEffect(() => {
    setReleased(false);
    setHeld(false);
    stage.current?.setCtrl(null);
  }, [runId, chosen, studio.pretrained.wanted]);

  const driving = useMemo(createDriving, []);
  const commands = useStore(driving.held);
  const specs = driven ? (player.info?.commands ?? NONE) : NONE;
  const joystick = useMemo(() => joystickAmong(specs), [specs]);
  useEffect(() => driving.fit(specs), [driving, specs]);
  const gamepad = useDriving({ driving, joystick, around: panel, arrows: drawer === "drive" });

  const parts = [studio.environmentId, ...(driver ? [driver.title, `${formatCount(driver.envSteps)} steps`] : [])];
  const fail = (error: unknown) => setMishap(error instanceof Error ? error.message : String(error));
  const recording = useRecording((video) => saveFile(video, fileNameOf(parts, "webm")), fail);
  const onAction = useStageActions(playback, stage);
  const push = (way: PushWay) => {
    const heading = headingOf(player.ticks.get()?.qpos ?? [], player.ready?.joints ?? []);
    stage.current?.shove(pushDirection(way, heading), strength);
  };
  const savePicture = () =>
    void stage.current?.picture().then((picture) => saveFile(picture, fileNameOf(parts, "png")), fail);
  const record = () => {
    const { current } = stage;
    if (current) recording.start((onLimit) => current.record({ onLimit }));
  };
  useStageCommands({
    playing: playback.playing,
    ready,
    drivable: specs.length > 0,
    steerable: joystick !== undefined,
    recording,
    onAction,
    onPush: push,
    onDrawer: setDrawer,
    onPicture: savePicture,
    onRecord: record,
  });

  return (
    <section ref={panel} className={styles.panel} aria-label="The robot">
      <div className={styles.frame}>
        <div className={styles.main}>
          <div className={styles.stage} data-testid="stage">
            {bundle.value && (
              <Boundary what="The simulation">
                <Suspense>
                  <RobotStage
                    key={player.attempt}
                    ref={stage}
                    bundle={bundle.value}
                    policy={driven ? driver : null}
                    playing={playback.playing}
                    speed={playback.speed}
                    episode={playback.episode}
                    contacts={playback.contacts}
                    noise={playback.noise}
                    commands={commands}
                    {...player.listener}
                  />
                </Suspense>
              </Boundary>
            )}
            <StagePoster thumbnail={studio.environment.value?.summary?.thumbnail} shown={!ready && !player.error} />
            {!ready && !player.error && !bundle.failure && (
              <p className={styles.loading}>
                <span className={styles.spinner} aria-hidden="true" />
                Setting up the simulation
              </p>
            )}
            <StageHead
              studio={studio}
              player={player}
              speed={playback.speed}
              driverId={driver?.policyId ?? ""}
              byHand={released || held}
              recording={recording}
            />
            <StageTroubles
              player={player}
              failure={bundle.value || saidBeside ? undefined : bundle.failure}
              mishap={mishap}
              onMishapRead={() => setMishap("")}
            />
            {ready && drawer === "" && <PullHint ticks={player.ticks} />}
          </div>
          <Toolbar
            playback={playback}
            drawer={drawer}
            drivable={specs.length > 0}
            ready={ready}
            recording={recording}
            onDrawer={setDrawer}
            onAction={onAction}
            onPicture={savePicture}
            onRecord={record}
          />
        </div>
        <StageDrawer
          drawer={drawer}
          ready={player.ready}
          ticks={player.ticks}
          steering={{ specs, joystick, driving, gamepad }}
          pushing={{ ready, strength, onStrength: setStrength, onPush: push }}
          driven={driven}
          byHand={released || held}
          onClose={() => setDrawer("")}
          onRelease={setReleased}
          onJoint={(joint, value) => {
            playback.setPlaying(false);
            stage.current?.setJoint(joint.qposIndex, value);
          }}
          onMotors={(values) => {
            setHeld(values !== null);
            stage.current?.setCtrl(values);
          }}
        />
      </div>
      <StepSlider studio={studio} />
      <LiveTerms
        ticks={player.ticks}
        termNames={studio.termNames}
        driven={driver !== undefined}
        highlighted={highlighted}
        onHighlight={onHighlight}
      />
    </section>
  );
}

const NONE: readonly never[] = [];
