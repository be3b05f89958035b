import { matches } from "../format/matching";
import type { MenagerieScene } from "../gen/tabrl/scene/v1/menagerie_pb";
import type { Filter } from "./filter";

/** Scenes of Menagerie to offer beside what the filter shows: those that are no environment yet, and that may be meant. */
export function offered(scenes: readonly MenagerieScene[], filter: Filter): MenagerieScene[] {
  if (filter.robot || filter.trained || (filter.category && filter.category !== "custom")) return [];
  return scenes.filter(
    ({ environmentId, title, robot }) => !environmentId && matches(filter.text, title, robot.replaceAll("_", " ")),
  );
}
