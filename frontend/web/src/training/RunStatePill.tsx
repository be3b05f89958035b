import { RunState } from "../gen/tabrl/trainer/v1/trainer_pb";
import { Pill } from "../ui/Pill";

const LABELS: Readonly<Record<RunState, readonly [label: string, tone: "neutral" | "live" | "good" | "danger"]>> = {
  [RunState.UNSPECIFIED]: ["Unknown", "neutral"],
  [RunState.QUEUED]: ["Waiting", "neutral"],
  [RunState.STARTING]: ["Getting ready", "live"],
  [RunState.RUNNING]: ["Learning", "live"],
  [RunState.SUCCEEDED]: ["Trained", "good"],
  [RunState.FAILED]: ["Failed", "danger"],
  [RunState.CANCELLED]: ["Stopped", "neutral"],
  [RunState.PAUSED]: ["Paused", "neutral"],
};

export function RunStatePill({ state, testId }: { readonly state: RunState; readonly testId?: string }) {
  const [label, tone] = LABELS[state] ?? LABELS[RunState.UNSPECIFIED];
  return (
    <Pill tone={tone} testId={testId} state={RunState[state]}>
      {label}
    </Pill>
  );
}
