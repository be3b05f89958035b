import { useCallback, useEffect, useState } from "react";
import { whenIdle } from "../app/loadLater";
import { GALLERY } from "../app/location";
import { useSession } from "../app/session";
import { ResultStep } from "../policies/ResultStep";
import { DescribeStep } from "../reward/DescribeStep";
import { RewardStep } from "../reward/RewardStep";
import { prefetchEditor } from "../reward/SourcePanel";
import { RobotDownload } from "../robots/RobotDownload";
import { useArrived } from "../stores/arrival";
import { ALL, type Loaded, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { prefetchCurves } from "../training/RunPanel";
import { TrainStep } from "../training/TrainStep";
import { FailureNotice, Notice } from "../ui/Notice";
import { EarlierWork } from "./EarlierWork";
import { StagePanel } from "./StagePanel";
import styles from "./Studio.module.css";
import { type StudioState, useStudio } from "./useStudio";

/** The studio of one robot: the stage on one side, the four steps from words to a policy on the other. */
export function Studio({ environmentId }: { readonly environmentId: string }) {
  const { environments, models, navigation, rewardLists } = useSession();
  const studio = useStudio(environmentId);
  const { runId } = useStore(navigation.place);
  const arrived = useArrived([
    studio.environment,
    studio.rewardId ? studio.reward : undefined,
    runId ? runLoaded(studio) : undefined,
    useResource(models, ALL),
    useResource(rewardLists, environmentId),
  ]);
  const [highlighted, setHighlighted] = useState("");
  const [alive, setAlive] = useState(false);
  const onReady = useCallback(() => setAlive(true), []);
  const { value: environment, failure } = studio.environment;
  const title = environment?.summary?.title ?? environmentId;

  // What is needed later must not hold the robot up.
  useEffect(() => {
    if (!alive) return;
    return whenIdle(() => {
      prefetchEditor();
      prefetchCurves();
    });
  }, [alive]);

  return (
    <div className={styles.studio}>
      <h1 className="hidden-visually">{title}</h1>
      <StagePanel studio={studio} highlighted={highlighted} onHighlight={setHighlighted} onReady={onReady} />
      <div className={styles.steps} style={arrived ? undefined : { visibility: "hidden" }}>
        {failure?.reason === "ROBOT_NOT_INSTALLED" && !environment ? (
          <RobotDownload
            title="This robot is not on this machine yet"
            downloadBytes={BigInt(failure.metadata.download_bytes ?? 0)}
          />
        ) : studio.environmentAbsent && studio.policy.value ? (
          <>
            <Notice tone="info" title={`The environment ${environmentId} is not on this machine`} testId="env-absent">
              <p>The policy brought its robot along, so it plays here. It cannot be trained further without it.</p>
            </Notice>
            <ResultStep studio={studio} />
          </>
        ) : (
          <>
            {failure && !environment && (
              <FailureNotice
                failure={failure}
                onRetry={() => environments.reload(environmentId)}
                wayOn={{ label: "All robots", take: () => navigation.go(GALLERY) }}
              />
            )}
            {studio.following || !studio.policy.failure ? null : (
              <FailureNotice
                failure={studio.policy.failure}
                wayOn={{ label: "Go on without it", take: () => navigation.refine({ policyId: "" }) }}
              />
            )}
            {/* A robot that is not here cannot be asked for anything. */}
            {!studio.environmentAbsent && (
              <>
                <DescribeStep studio={studio} />
                <RewardStep studio={studio} highlighted={highlighted} onHighlight={setHighlighted} />
                <TrainStep studio={studio} highlighted={highlighted} />
                <ResultStep studio={studio} />
              </>
            )}
          </>
        )}
        <EarlierWork studio={studio} />
      </div>
    </div>
  );
}

function runLoaded({ run, runFailure }: StudioState): Loaded<unknown> {
  return {
    loading: !run && !runFailure,
    ...(run ? { value: run } : {}),
    ...(runFailure ? { failure: runFailure } : {}),
  };
}
