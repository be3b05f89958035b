import { preparePlayer } from "../player/ahead";
import type { Place } from "./location";
import type { Session } from "./session";
import { prefetchStudio } from "./studioLater";

/** Begins to load what a robot needs to be on screen, all at once, before its studio asks for one after another. */
export function headStart({ bundles, environments }: Pick<Session, "bundles" | "environments">, id: string): void {
  if (isSaving()) return;
  preparePlayer();
  prefetchStudio();
  if (!id) return;
  bundles.ensure(id);
  environments.ensure(id);
}

/** Whether a place shows a robot that moves. */
export function showsRobot({ view, environmentId, rewardId, runId, policyId, compared }: Place): boolean {
  if (view === "compare") return compared !== "";
  return view === "" && [environmentId, rewardId, runId, policyId].some((id) => id !== "");
}

/** Whether the person wants nothing fetched that they have not asked for. */
export function isSaving(): boolean {
  const { connection } = navigator as Navigator & { readonly connection?: { readonly saveData?: boolean } };
  return connection?.saveData ?? false;
}
