import { useMemo, useState } from "react";
import { useSession } from "../app/session";
import { toSentence } from "../format/format";
import type { EstimateRunResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import { type Failure, failureFrom, violationOf } from "../rpc/failure";
import { createRequestIds } from "../rpc/requestId";
import { useFresh } from "../stores/resource";
import type { StartingPoint } from "../stores/startingPoints";
import type { StudioState } from "../studio/useStudio";
import { type Choice, type Practice, practiceOf, type RunSpecInit, specKey, specOf } from "./spec";
import type { TierOffer } from "./TierChoice";
import { type TierName, tierNameOf } from "./tiers";
import { useEstimate } from "./useEstimate";

const CREATE_DEADLINE_MS = 30_000;

/** All that decides what is trained next, and its start. */
export interface Start {
  readonly choice: Choice;
  readonly offers: readonly TierOffer[];
  readonly recommended: TierName | undefined;
  readonly reason: string;
  /** Policies to go on from, or to play. */
  readonly points: readonly StartingPoint[];
  readonly pointsFailure: Failure | undefined;
  /** Policy that follows commands; empty for none. */
  readonly commanded: string;
  /** What would be trained; undefined when nothing would. */
  readonly spec: RunSpecInit | undefined;
  /** The same from the beginning, by which goals are compared. */
  readonly wholeSpec: RunSpecInit | undefined;
  readonly estimate: EstimateRunResponse | undefined;
  readonly estimateFailure: Failure | undefined;
  /** What the service says against varied robots here; empty for nothing. */
  readonly variedProblem: string;
  /** Whether other lengths than the standard one can be reckoned. */
  readonly reckoned: boolean;
  /** Whether the person chose a way since the last start. */
  readonly asked: boolean;
  readonly starting: boolean;
  readonly failure: Failure | undefined;
  /** The run that was started last from here; empty for none. */
  readonly started: string;
  change(change: Partial<Choice>): void;
  retryEstimate(): void;
  train(): Promise<void>;
}

/** What a person chose themselves; the rest follows from what there is. */
type Chosen = Partial<Choice>;

/** The choice of a way to the behaviour, with an estimate for each way that trains. */
export function useStart(studio: StudioState): Start {
  const { clients, runs, health, startingPoints } = useSession();
  const { environmentId, goal, run, running } = studio;
  const listed = useFresh(startingPoints, environmentId);
  const [chosen, setChosen] = useState<Chosen>({});
  const [standard, setStandard] = useState<Practice>();
  const [starting, setStarting] = useState(false);
  // Why a start failed, and of what.
  const [failed, setFailed] = useState<{ readonly key: string; readonly failure: Failure }>();
  const [started, setStarted] = useState("");
  const requestIds = useMemo(createRequestIds, []);

  const points = listed.value ?? [];
  const commanded = points.find(({ ownTask }) => ownTask)?.policyId ?? "";
  const commandable = (studio.environment.value?.commandSize ?? 0) > 0;
  const missing: Readonly<Record<TierName, string>> = {
    command: commandable
      ? commanded
        ? ""
        : "No policy that follows commands was trained here yet. Train this robot's own task once, from scratch."
      : "The policies of this robot take no commands, so it has to learn.",
    "fine-tune":
      points.length > 0 || chosen.startFrom || (!listed.value && !listed.failure)
        ? ""
        : "No policy of this robot was trained here yet. Train one from scratch first.",
    full: "",
  };
  // The advice is of when the reward was written; once it was trained for, a person sees for themselves what it takes.
  const trainedFor = goal.kind === "reward" && points.some(({ rewardId }) => rewardId === goal.reward.rewardId);
  const advice = goal.kind === "reward" && !trainedFor ? goal.reward.tier : undefined;
  const recommended = advice && tierNameOf(advice.tier);
  const fallback = recommended && missing[recommended] === "" ? recommended : "full";
  const choice: Choice = {
    tier: fallback,
    length: "Standard",
    seed: 0,
    startFrom: points[0]?.policyId ?? "",
    rented: false,
    varied: false,
    ...chosen,
  };

  const wholeSpec = specOf(studio, { ...choice, tier: "full" }, standard);
  // A run that ended is one more measurement to reckon with.
  const occasion = running ? "" : (run?.run.runId ?? "");
  const whole = useEstimate(wholeSpec, occasion);
  const told = whole.value && practiceOf(whole.value);
  if (told && choice.length === "Standard" && standard === undefined) setStandard(told);
  const practice = standard && told ? { ...standard, stepsPerSec: told.stepsPerSec } : standard;
  const fineSpec = practice && specOf(studio, { ...choice, tier: "fine-tune" }, practice);
  const fine = useEstimate(fineSpec, occasion);

  const spec = choice.tier === "full" ? wholeSpec : choice.tier === "fine-tune" ? fineSpec : undefined;
  const shown = choice.tier === "fine-tune" ? (fineSpec ? fine : whole) : whole;
  const varied = violationOf(shown.failure, "domain_randomization");

  async function train() {
    if (!spec) return;
    setStarting(true);
    setFailed(undefined);
    const key = specKey(spec);
    try {
      const request = { spec, requestId: requestIds.idFor(key) };
      const { run: created } = await clients.trainer.createRun(request, { timeoutMs: CREATE_DEADLINE_MS });
      requestIds.done();
      if (!created) throw new Error("the answer holds no run");
      runs.put(created);
      studio.openRun(created.runId);
      setStarted(created.runId);
      // The next run is chosen anew.
      setChosen(({ tier: _, startFrom: __, ...rest }) => rest);
    } catch (thrown) {
      setFailed({ key, failure: failureFrom(thrown) });
      health.check();
    } finally {
      setStarting(false);
    }
  }

  return {
    choice,
    offers: [
      { tier: "command", missing: missing.command },
      offer("fine-tune", missing["fine-tune"], fine.value),
      offer("full", missing.full, whole.value),
    ],
    recommended,
    reason: advice?.reason ?? "",
    points,
    pointsFailure: listed.failure,
    commanded,
    spec,
    wholeSpec,
    estimate: spec && (choice.tier === "full" ? whole.value : fine.value),
    estimateFailure: choice.tier === "command" || varied ? undefined : shown.failure,
    variedProblem: choice.varied && varied ? toSentence(varied.description) : "",
    reckoned: standard !== undefined,
    asked: chosen.tier !== undefined,
    starting,
    failure: spec && failed?.key === specKey(spec) ? failed.failure : undefined,
    started,
    change: (change) => {
      setFailed(undefined);
      setChosen((before) => ({ ...before, ...change }));
    },
    retryEstimate: shown.retry,
    train,
  };
}

function offer(tier: TierName, missing: string, estimate: EstimateRunResponse | undefined): TierOffer {
  return { tier, missing, ...(estimate ? { estimate } : {}) };
}
