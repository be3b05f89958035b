import type { Place } from "../app/location";
import { formatName } from "../format/format";
import { matches } from "../format/matching";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import type { Trained } from "./trained";

/** What of the gallery is shown, and in which order; empty strings show all. */
export type Filter = Pick<Place, "text" | "robot" | "category" | "trained" | "order">;

export const EVERYTHING: Filter = { text: "", robot: "", category: "", trained: "", order: "" };

/** Orders of the gallery by what the URL calls them. */
export const ORDERS = [
  { order: "", title: "By name" },
  { order: "motors", title: "Fewest motors first" },
  { order: "newest", title: "Newest work first" },
] as const;

const CATEGORY_TITLES: Readonly<Record<string, string>> = {
  dm_control_suite: "Control suite",
  locomotion: "Walking robots",
  manipulation: "Hands and arms",
  custom: "Your robots",
};

export function categoryTitle(category: string): string {
  return CATEGORY_TITLES[category] ?? formatName(category);
}

/** Environments that pass: every word of the text is found somewhere in what a card says. */
export function filtered(
  environments: readonly EnvironmentSummary[],
  filter: Filter,
  trained: Trained,
): EnvironmentSummary[] {
  const shown = environments.filter((environment) => {
    if (filter.robot && environment.robot !== filter.robot) return false;
    if (filter.category && environment.category !== filter.category) return false;
    if (filter.trained && !trained.policies.has(environment.environmentId)) return false;
    const { environmentId, title, description, robot, examplePrompts } = environment;
    return matches(filter.text, environmentId, title, description, robot, ...examplePrompts);
  });
  const newest = (environment: EnvironmentSummary) => trained.newestSecs.get(environment.environmentId) ?? 0;
  // The number of motors of a robot that is not here is not known.
  const motors = ({ robotMissing, actuatorCount }: EnvironmentSummary) =>
    robotMissing ? Number.MAX_SAFE_INTEGER : actuatorCount;
  const byName = (a: EnvironmentSummary, b: EnvironmentSummary) => a.title.localeCompare(b.title);
  if (filter.order === "motors") return shown.sort((a, b) => motors(a) - motors(b) || byName(a, b));
  if (filter.order === "newest") return shown.sort((a, b) => newest(b) - newest(a) || byName(a, b));
  return shown.sort(byName);
}

/** Distinct values with how often each occurs, in order of the alphabet. */
export function tally(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
}
