import type { Place } from "../app/location";

/** What the tour looks at to see how far a person is; each the real thing, never a timer. */
export interface Seen {
  readonly place: Pick<Place, "view" | "environmentId" | "rewardId" | "runId">;
  readonly prompt: string;
  /** Whether the run has a checkpoint whose policy can be played. */
  readonly hasPolicy: boolean;
  /** Whether the person has hold of the robot, or had since this step began. */
  readonly grabbed: boolean;
}

/** A step: what to do, at which part of the page, and by what it is known to be done. */
export interface TourStep {
  readonly id: "choose" | "describe" | "write" | "train" | "watch" | "pull";
  readonly title: string;
  readonly text: string;
  /** `data-testid` of what the mark points at; the first that is on the page. */
  readonly anchors: readonly string[];
  readonly isDone: (seen: Seen) => boolean;
}

/** The smallest robot: it learns within a minute. */
export const TOUR_ENVIRONMENT = "CartpoleBalance";

export const STEPS: readonly TourStep[] = [
  {
    id: "choose",
    title: "Choose the cartpole",
    text: "A pole on a cart: the smallest robot here, and the quickest to learn.",
    anchors: [`env-card-${TOUR_ENVIRONMENT}`],
    isDone: ({ place }) => place.view === "" && place.environmentId !== "",
  },
  {
    id: "describe",
    title: "Say what it should do",
    text: "Take one of the examples, or use words of your own.",
    anchors: ["examples", "prompt"],
    isDone: ({ prompt, place }) => prompt.trim() !== "" || place.rewardId !== "",
  },
  {
    id: "write",
    title: "Have the reward written",
    text: "Your words become a reward: what the robot earns for doing it.",
    anchors: ["generate"],
    isDone: ({ place }) => place.rewardId !== "",
  },
  {
    id: "train",
    title: "Choose Short, then train",
    text: "Many copies of the robot practise at once. The estimate says how long it takes.",
    anchors: ["train"],
    isDone: ({ place }) => place.runId !== "",
  },
  {
    id: "watch",
    title: "Watch it learn",
    text: "It gets ready first. As soon as there is a policy, it takes over the robot here, and a better one every so often.",
    anchors: ["policy-status", "stage"],
    isDone: ({ hasPolicy }) => hasPolicy,
  },
  {
    id: "pull",
    title: "Now pull the robot",
    text: "Drag it with mouse or finger, and see how well it holds its own.",
    anchors: ["stage"],
    isDone: ({ grabbed }) => grabbed,
  },
];

/** The step that is to be done after `index` steps were, given what is seen; past the last one when all are done. */
export function stepAfter(index: number, seen: Seen): number {
  let next = index;
  while (next < STEPS.length && STEPS[next]?.isDone(seen)) next += 1;
  return next;
}
