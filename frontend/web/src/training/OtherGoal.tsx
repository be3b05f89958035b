import { useSession } from "../app/session";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { runTitle } from "../policies/policyTitle";
import { hasEnded } from "../stores/runRecord";
import { Button } from "../ui/Button";
import { Notice } from "../ui/Notice";

/** Says above a run that it is not for what is chosen now, and what it is for. */
export function OtherGoal({ run }: { readonly run: Run }) {
  const { navigation } = useSession();
  const reward = run.spec?.reward;
  const trains = hasEnded(run.state) ? "was trained" : "trains";
  const title = runTitle(run);
  const short = title.length > 60 ? `${title.slice(0, 59)}…` : title;
  const what = reward ? `another reward: “${short}”` : "the robot's own task";
  // A reward that only its files tell of cannot be shown.
  const shown = reward?.rewardId !== "";
  return (
    <Notice
      tone="warn"
      title={`This run ${trains} for ${what}`}
      testId="other-goal"
      action={
        shown && (
          <Button
            size="small"
            onClick={() => navigation.goOn({ rewardId: reward?.rewardId ?? "" })}
            data-testid="show-trained-for"
          >
            Show what it {trains} for
          </Button>
        )
      }
    >
      <p>For what is chosen now, train below.</p>
    </Notice>
  );
}
