import { Fragment, Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { loadLater } from "../app/loadLater";
import type { CommandSpec, JointSpec, PlayerTick, SideBySideHandle } from "../player";
import { useStore } from "../stores/store";
import { createDriving, joystickAmong } from "../studio/driving";
import { headingOf, type PushWay, pushDirection, USUAL_PUSH } from "../studio/pushing";
import { useDriving } from "../studio/useDriving";
import { usePlayback } from "../studio/usePlayback";
import { useStageActions } from "../studio/useStageActions";
import { usePlaybackCommands, usePushCommands } from "../studio/useStageCommands";
import { Boundary } from "../ui/Boundary";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";
import { laneLabel } from "./laneName";
import { laneLetter, MOST_LANES } from "./lanes";
import type { LiveLanes } from "./live";
import { Pane } from "./Pane";
import styles from "./Stages.module.css";
import { Transport } from "./Transport";
import type { Comparison, Lane } from "./useComparison";

const { Component: SideBySide } = loadLater(async () => (await import("../player")).SideBySide);

interface StagesProps {
  readonly comparison: Comparison;
  readonly live: LiveLanes;
  readonly onAdd: () => void;
}

/** The robots beside each other, and the bar that moves all of them. */
export function Stages({ comparison, live, onAdd }: StagesProps) {
  const { lanes, bundle, change } = comparison;
  const handle = useRef<SideBySideHandle>(null);
  const panel = useRef<HTMLElement>(null);
  const playback = usePlayback();
  const [strength, setStrength] = useState(USUAL_PUSH);
  const [joints, setJoints] = useState<readonly JointSpec[]>([]);
  const driving = useMemo(createDriving, []);
  const commands = useStore(driving.held);
  const [specs, setSpecs] = useState<readonly CommandSpec[]>([]);
  const joystick = useMemo(() => joystickAmong(specs), [specs]);
  useEffect(() => driving.fit(specs), [driving, specs]);
  const gamepad = useDriving({ driving, joystick, around: panel, arrows: false });
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map());
  const [ready, setReady] = useState<ReadonlySet<number>>(new Set());
  const [error, setError] = useState<Error>();
  const [attempt, setAttempt] = useState(0);

  // Only what can play goes on stage; the others say in their panes why they do not.
  const staged = useMemo(() => lanes.filter((lane): lane is Staged => isStaged(lane)), [lanes]);
  const pending = lanes.some(({ policy, failure }) => !policy && !failure);
  const scene = bundle.value;
  const onStage = useMemo(
    () => (scene ? staged.map(({ policy }) => ({ bundle: scene, policy })) : []),
    [scene, staged],
  );
  const newest = useRef(staged);
  newest.current = staged;
  // A lane that is gone leads no more.
  useEffect(() => {
    for (let place = 0; place < MOST_LANES; place += 1) {
      if (!staged.some((lane) => lane.place === place)) live.clear(place);
    }
  }, [live, staged]);
  const onTick = useCallback(
    (index: number, tick: PlayerTick) => {
      const lane = newest.current[index];
      if (lane) live.show(lane.place, tick);
    },
    [live],
  );
  const setProblem = (index: number, problem: string) => {
    const sha256 = staged[index]?.policy.controller?.sha256 ?? "";
    setProblems((before) => new Map(before).set(sha256, problem));
  };

  const onAction = useStageActions(playback, handle);
  // What is forwards for one robot may be sideways for another that has turned.
  const onPush = (way: PushWay) =>
    handle.current?.shove(
      staged.map(({ place }) => pushDirection(way, headingOf(live.tickOf(place).get()?.qpos ?? [], joints))),
      strength,
    );
  usePlaybackCommands({ playing: playback.playing, ready: ready.size > 0, onAction });
  usePushCommands({ ready: ready.size > 0, onPush });

  const pane = (lane: Lane, stage: React.ReactNode) => (
    <Pane
      key={lane.place}
      lane={lane}
      lanes={lanes.length}
      live={live}
      problem={problems.get(lane.policy?.controller?.sha256 ?? "") ?? ""}
      stage={stage}
      ready={ready.has(staged.indexOf(lane as Staged))}
      onChange={change}
      ids={lanes.map(({ policyId }) => policyId)}
    />
  );

  // Those that cannot play stand in their places between those that do, for the eye and for the keyboard.
  const idleBetween = (from: number, to: number) =>
    lanes.filter((lane) => !isStaged(lane) && lane.place > from && lane.place < to).map((lane) => pane(lane, null));
  const paneOf = (index: number, stage: React.ReactNode) => {
    const lane = staged[index];
    return (
      lane && (
        <Fragment key={lane.place}>
          {idleBetween(staged[index - 1]?.place ?? -1, lane.place)}
          {pane(lane, stage)}
        </Fragment>
      )
    );
  };
  const shown = !pending && onStage.length > 0;

  return (
    <section ref={panel} className={styles.stages} aria-label="The robots">
      {error && (
        <Notice
          tone="danger"
          testId="error"
          title="The simulation stopped"
          action={
            <Button
              size="small"
              onClick={() => {
                setError(undefined);
                setReady(new Set());
                setAttempt(attempt + 1);
              }}
            >
              Start it again
            </Button>
          }
        >
          <p>{error.message}</p>
        </Notice>
      )}
      <div className={styles.panes} data-lanes={lanes.length} data-testid="lanes">
        {shown ? (
          <Boundary what="The simulation">
            <Suspense fallback={staged.map((_, index) => paneOf(index, null))}>
              <SideBySide
                key={attempt}
                lanes={onStage}
                playing={playback.playing}
                speed={playback.speed}
                episode={playback.episode}
                contacts={playback.contacts}
                commands={commands}
                onTick={onTick}
                onReady={(index, info) => {
                  setJoints(info.joints);
                  setReady((before) => new Set(before).add(index));
                }}
                onPolicy={(index, info) => {
                  setProblem(index, "");
                  if (index === 0) setSpecs(info.commands);
                }}
                onPolicyError={(index, { message }) => setProblem(index, message)}
                onError={setError}
                renderLane={paneOf}
                ref={handle}
              />
            </Suspense>
          </Boundary>
        ) : (
          lanes.map((lane) => pane(lane, null))
        )}
        {shown && idleBetween(staged.at(-1)?.place ?? -1, lanes.length)}
        {lanes.length % 2 === 1 && (
          <button type="button" className={styles.free} onClick={onAdd} data-testid="add-second">
            <strong>{lanes.length === 1 ? `Add a policy beside ${laneLetter(0)}` : "Add a fourth"}</strong>
            <span>Another of this run, an earlier one, or one that is registered.</span>
          </button>
        )}
      </div>
      <Transport
        handle={handle}
        playback={playback}
        onAction={onAction}
        strength={strength}
        onStrength={setStrength}
        onPush={onPush}
        labels={staged.map(({ place, policy }) => laneLabel(laneLetter(place), policy))}
        steering={{ specs, driving, gamepad }}
      />
    </section>
  );
}

type Staged = Lane & { readonly policy: NonNullable<Lane["policy"]> };

function isStaged({ policy, foreign }: Lane): boolean {
  return policy !== undefined && !foreign;
}
