import { formatName } from "../format/format";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";

/** What of the gallery is shown; empty strings show all. */
export interface Filter {
  readonly text: string;
  readonly robot: string;
  readonly category: string;
}

export const EVERYTHING: Filter = { text: "", robot: "", category: "" };

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
export function filtered(environments: readonly EnvironmentSummary[], filter: Filter): EnvironmentSummary[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return environments.filter((environment) => {
    if (filter.robot && environment.robot !== filter.robot) return false;
    if (filter.category && environment.category !== filter.category) return false;
    const { environmentId, title, description, robot, examplePrompts } = environment;
    const text = [environmentId, title, description, robot, ...examplePrompts].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** Distinct values with how often each occurs, in order of the alphabet. */
export function tally(values: readonly string[]): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a.localeCompare(b));
}
