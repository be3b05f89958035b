import { useCommand } from "../stores/commands";

const GROUP = "Reward";

interface DescribeCommands {
  /** Whether there is a reward already. */
  readonly reward: boolean;
  /** Whether none is being written. */
  readonly idle: boolean;
  /** Whether the environment's own task is chosen. */
  readonly own: boolean;
  readonly describe: () => void;
  readonly write: () => void;
  readonly writeSeveral: () => void;
  readonly useOwn: () => void;
}

/** Tells the palette what the first step offers. */
export function useDescribeCommands(step: DescribeCommands): void {
  const { reward, idle, own, describe, write, writeSeveral, useOwn } = step;
  useCommand({
    id: "reward.describe",
    title: "Say what it should do",
    group: GROUP,
    keywords: ["prompt", "behaviour", "type", "words"],
    run: describe,
  });
  useCommand(
    {
      id: "reward.write",
      title: reward ? "Write the reward anew" : "Write the reward",
      group: GROUP,
      keywords: ["generate", "prompt", "llm"],
      run: write,
    },
    idle,
  );
  useCommand(
    {
      id: "reward.approaches",
      title: "Show three approaches",
      group: GROUP,
      keywords: ["rewards", "choose", "alternatives"],
      run: writeSeveral,
    },
    idle,
  );
  useCommand(
    { id: "reward.own", title: "Use its own task", group: GROUP, keywords: ["reward", "default"], run: useOwn },
    idle && !own,
  );
}
