import { useMemo, useRef, useState } from "react";
import { useSession } from "../app/session";
import type { PlayerError, PlayerTick, PolicyInfo, ReadyInfo, RobotStageProps } from "../player";
import { createStore, type Store } from "../stores/store";
import { afterTick, type EpisodeFacts, NO_FACTS } from "./episodeFacts";

/** What the player has told the page. */
export interface PlayerState {
  readonly ticks: Store<PlayerTick | undefined>;
  readonly facts: Store<EpisodeFacts>;
  /** The robot on stage; absent until it is there. */
  readonly ready: ReadyInfo | undefined;
  /** What drives; absent until the player said so. */
  readonly info: PolicyInfo | undefined;
  /** Why the policy that was asked for does not drive, or what happened to the one that does. */
  readonly policyProblem: PlayerError | undefined;
  /** Why nothing moves any more. */
  readonly error: PlayerError | undefined;
  /** Changes when the stage is to be built anew. */
  readonly attempt: number;
  readonly listener: Required<Pick<RobotStageProps, "onTick" | "onReady" | "onPolicy" | "onPolicyError" | "onError">>;
  startAgain(): void;
  forgetProblem(): void;
}

export function usePlayer(speed: number): PlayerState {
  const { tour } = useSession();
  const ticks = useMemo(() => createStore<PlayerTick | undefined>(undefined), []);
  const facts = useMemo(() => createStore(NO_FACTS), []);
  const [ready, setReady] = useState<ReadyInfo>();
  const [info, setInfo] = useState<PolicyInfo>();
  const [policyProblem, setPolicyProblem] = useState<PlayerError>();
  const [error, setError] = useState<PlayerError>();
  const [attempt, setAttempt] = useState(0);
  const latestSpeed = useRef(speed);
  latestSpeed.current = speed;

  const listener = useMemo(
    () => ({
      onTick(tick: PlayerTick) {
        ticks.set(tick);
        if (tick.grabbed) tour.pulled.set(true);
        facts.set((before) => afterTick(before, tick, latestSpeed.current));
      },
      onReady(told: ReadyInfo) {
        setReady(told);
        facts.set(NO_FACTS);
      },
      onPolicy(told: PolicyInfo) {
        setInfo(told);
        setPolicyProblem(undefined);
      },
      onPolicyError: setPolicyProblem,
      onError: setError,
    }),
    [ticks, facts, tour],
  );

  return {
    ticks,
    facts,
    ready,
    info,
    policyProblem,
    error,
    attempt,
    listener,
    startAgain() {
      setError(undefined);
      setPolicyProblem(undefined);
      setReady(undefined);
      setInfo(undefined);
      setAttempt(attempt + 1);
    },
    forgetProblem: () => setPolicyProblem(undefined),
  };
}
