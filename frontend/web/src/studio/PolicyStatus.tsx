import { formatCount } from "../format/format";
import type { PlayerError } from "../player";
import { CloseIcon } from "../ui/icons";
import { Pill } from "../ui/Pill";
import styles from "./PolicyStatus.module.css";
import { troubleOf } from "./playerTrouble";
import { type Pretrained, wordsFor } from "./pretrainedChoice";
import type { StudioState } from "./useStudio";

interface PolicyStatusProps {
  readonly studio: StudioState;
  /** SHA-256 of the controller that drives; empty when none does. */
  readonly drivingSha256: string;
  /** Why the policy could not be loaded; absent when it could. */
  readonly problem: PlayerError | undefined;
  /** Whether the person took the motors. */
  readonly byHand: boolean;
}

/** What drives the robot, in words. */
export function PolicyStatus(props: PolicyStatusProps) {
  const { studio, drivingSha256, byHand } = props;
  const { policyId, policy, pretrained } = studio;
  const drives =
    drivingSha256 !== "" && policy.value?.policyId === policyId && policy.value.controller?.sha256 === drivingSha256;
  const first = pretrained.known;
  const firstDrives = first !== undefined && !policyId && first.policy.controller?.sha256 === drivingSha256;
  const text = byHand ? "You move the motors" : textOf(props, drives, firstDrives);
  return (
    <div
      className={styles.status}
      data-testid="policy-status"
      data-policy-id={drives ? policyId : ""}
      data-pretrained-id={firstDrives ? first.policy.policyId : ""}
      aria-live="polite"
    >
      <Pill tone={drives || firstDrives ? "live" : "neutral"}>
        <span className={styles.text} title={text}>
          {text}
        </span>
      </Pill>
      {first && !policyId && !byHand && (pretrained.wanted ? firstDrives : true) && (
        <button
          type="button"
          className={styles.letGo}
          onClick={() => pretrained.want(!pretrained.wanted)}
          data-testid="pretrained-switch"
        >
          {pretrained.wanted ? (
            <>
              <CloseIcon />
              <span>Let it go</span>
            </>
          ) : (
            `Let ${nounFor(first)} drive`
          )}
        </button>
      )}
    </div>
  );
}

function nounFor({ ownTask }: Pretrained): string {
  return ownTask ? "the pretrained policy" : "the earlier policy";
}

function textOf({ studio, problem }: PolicyStatusProps, drives: boolean, firstDrives: boolean): string {
  const { policyId, policy, running, run, bestPolicyId, pretrained } = studio;
  if (!policyId) {
    if (pretrained.wanted && pretrained.known) {
      if (problem && !firstDrives) return troubleOf(problem.code).title;
      const words = wordsFor(pretrained.known);
      if (running) return `${words}, until the first policy comes`;
      return firstDrives ? words : `Loading ${nounFor(pretrained.known)}`;
    }
    return running ? "Waiting for the first policy" : "Nobody is steering yet";
  }
  if (!drives) {
    // The policy before drives on meanwhile, so that it is there says nothing about this one.
    const missing = policy.failure !== undefined && policy.value?.policyId !== policyId;
    if (missing && policy.failure?.reason === "POLICY_NOT_FOUND")
      return "No such policy here; it may have been deleted, or belong to another data folder";
    if (missing)
      return policy.failure?.transient ? "Waiting for the service that has the policy" : "This policy cannot be loaded";
    return problem ? troubleOf(problem.code).title : "Loading the policy";
  }
  const steps = policy.value ? `${formatCount(policy.value.envSteps)} steps of practice` : "";
  if (!running && policyId === bestPolicyId) return `The best policy, after ${steps}`;
  const final = run?.run.checkpoints.find((checkpoint) => checkpoint.policyId === policyId)?.final ?? false;
  return final && !running ? `The last policy, after ${steps}` : `Steered after ${steps}`;
}
