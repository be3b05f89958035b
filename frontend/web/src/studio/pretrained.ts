import { useState } from "react";
import { useSession } from "../app/session";
import { useFresh } from "../stores/resource";
import { choosePretrained, type Pretrained } from "./pretrainedChoice";

/** The pretrained policy of an environment, and the way to let go of it. */
export interface PretrainedState {
  /** Absent while nobody knows one. */
  readonly known: Pretrained | undefined;
  /** Whether the person wants it to drive. */
  readonly wanted: boolean;
  want(wanted: boolean): void;
}

/** Looks for a pretrained policy as soon as the environment is shown with neither run nor policy; best one for the reward that is chosen. */
export function usePretrained(environmentId: string, rewardId: string, unclaimed: boolean): PretrainedState {
  const { pretrained } = useSession();
  const [asked, setAsked] = useState(unclaimed);
  if (unclaimed && !asked) setAsked(true);
  const [wanted, want] = useState(true);
  // What was trained or registered since the last visit counts too; until that is known, the one from then drives.
  const { value } = useFresh(pretrained, asked ? environmentId : "");
  return { known: choosePretrained(value ?? [], rewardId), wanted, want };
}
