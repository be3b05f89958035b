import { useId } from "react";
import { formatEstimate, formatUsd } from "../format/format";
import type { EstimateRunResponse } from "../gen/tabrl/trainer/v1/trainer_pb";
import styles from "./TierChoice.module.css";
import type { TierName } from "./tiers";

/** What one tier would take, and why it cannot be had where it cannot. */
export interface TierOffer {
  readonly tier: TierName;
  readonly estimate?: EstimateRunResponse;
  /** Why it is not to be had; empty when it is. */
  readonly missing: string;
}

interface TierChoiceProps {
  readonly offers: readonly TierOffer[];
  readonly chosen: TierName;
  readonly recommended: TierName | undefined;
  /** Why it is recommended, in the service's words. */
  readonly reason: string;
  readonly onChoose: (tier: TierName) => void;
}

const WORDS: Readonly<Record<TierName, { readonly title: string; readonly what: string }>> = {
  command: {
    title: "Try it now",
    what: "A policy that was trained before drives the robot, and you command it: how fast, and where to.",
  },
  "fine-tune": {
    title: "Fine-tune",
    what: "A policy that moves already goes on practising, now for this reward.",
  },
  full: {
    title: "From scratch",
    what: "The robot begins without knowing anything.",
  },
};

/** The three ways to a behaviour with what each takes; the recommended one is marked. */
export function TierChoice({ offers, chosen, recommended, reason, onChoose }: TierChoiceProps) {
  const id = useId();
  const missing = offers.find(({ tier }) => tier === chosen)?.missing ?? "";
  return (
    <div className={styles.choice}>
      <fieldset className={styles.tiers}>
        <legend className="hidden-visually">How to come by it</legend>
        {offers.map((offer) => (
          <label key={offer.tier} data-testid={`tier-${offer.tier}`} data-missing={offer.missing !== ""}>
            <input
              type="radio"
              name={`${id}-tier`}
              checked={offer.tier === chosen}
              onChange={() => onChoose(offer.tier)}
              aria-describedby={`${id}-what`}
            />
            <span className={`${styles.card} ${offer.missing ? styles.missing : ""}`}>
              <b>{WORDS[offer.tier].title}</b>
              <span className={`${styles.takes} number`}>{takes(offer)}</span>
              <span className={styles.cost}>{offer.missing ? "not here yet" : costs(offer)}</span>
              {offer.tier === recommended && <span className={styles.mark}>Suggested</span>}
            </span>
          </label>
        ))}
      </fieldset>
      <p id={`${id}-what`} className={styles.what}>
        {WORDS[chosen].what}
        {missing && <strong> {missing}</strong>}
        {!missing && chosen === recommended && reason && <span> {reason}</span>}
        {chosen !== recommended && recommended && (
          <span>
            {" "}
            Suggested is “{WORDS[recommended].title}”: {reason}
          </span>
        )}
      </p>
    </div>
  );
}

function takes({ tier, estimate, missing }: TierOffer): string {
  if (tier === "command") return "0\u00a0s";
  if (missing) return "–";
  return estimate ? formatEstimate(estimate.durationSecs).replace(/^about /, "") : "…";
}

function costs({ tier, estimate }: TierOffer): string {
  if (tier === "command") return "no training";
  if (!estimate) return "";
  return estimate.costUsd === undefined ? "on this machine" : `about ${formatUsd(estimate.costUsd)}`;
}
