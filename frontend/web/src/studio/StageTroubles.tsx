import { useEffect } from "react";
import type { PlayerError } from "../player";
import type { Failure } from "../rpc/failure";
import { Button } from "../ui/Button";
import { FailureNotice, Notice } from "../ui/Notice";
import { troubleOf } from "./playerTrouble";
import styles from "./StageTroubles.module.css";
import type { PlayerState } from "./usePlayer";

/** How long a trouble that is over by itself is told, in milliseconds. */
const PASSING_MS = 8_000;

interface StageTroublesProps {
  readonly player: PlayerState;
  /** Why there is no scene to simulate. */
  readonly failure: Failure | undefined;
  /** Why a picture or a video could not be made; empty for no such thing. */
  readonly mishap: string;
  readonly onMishapRead: () => void;
}

/** What does not work on the stage, and what to do. */
export function StageTroubles({ player, failure, mishap, onMishapRead }: StageTroublesProps) {
  const { error, policyProblem, startAgain, forgetProblem } = player;
  const passing = policyProblem?.code === "PHYSICS_DIVERGED";

  // biome-ignore lint/correctness/useExhaustiveDependencies: each trouble has its own time
  useEffect(() => {
    if (!passing) return;
    const timer = setTimeout(forgetProblem, PASSING_MS);
    return () => clearTimeout(timer);
  }, [policyProblem]);

  if (!error && !failure && !policyProblem && !mishap) return null;
  const hide = (forget: () => void) => (
    <Button size="small" variant="quiet" onClick={forget}>
      Hide
    </Button>
  );
  const again = (
    <Button size="small" onClick={startAgain}>
      Start it again
    </Button>
  );
  return (
    <div className={styles.troubles}>
      {error ? (
        <TroubleNotice error={error} tone="danger" action={again} />
      ) : failure ? (
        <FailureNotice failure={failure} />
      ) : (
        policyProblem && (
          <TroubleNotice
            error={policyProblem}
            tone="warn"
            action={policyProblem.retryable && !passing ? again : hide(forgetProblem)}
          />
        )
      )}
      {mishap && (
        <Notice tone="warn" title="The picture or video could not be saved" testId="mishap" action={hide(onMishapRead)}>
          <p>{mishap}</p>
        </Notice>
      )}
    </div>
  );
}

interface TroubleNoticeProps {
  readonly error: PlayerError;
  readonly tone: "danger" | "warn";
  readonly action: React.ReactNode;
}

function TroubleNotice({ error, tone, action }: TroubleNoticeProps) {
  const { title, remedy } = troubleOf(error.code);
  return (
    <Notice tone={tone} title={title} testId="error" action={action}>
      <p>{remedy}</p>
      <details>
        <summary>Details</summary>
        <p data-code={error.code}>{error.message}</p>
      </details>
    </Notice>
  );
}
