import { useSession } from "../app/session";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import type { Failure } from "../rpc/failure";
import { ALL } from "../stores/resource";

/** Takes a run off the page at once and deletes it a while later, unless the person takes that back. */
export function useDeleteRun(): (run: Run) => void {
  const { navigation, runLists, runs, undo } = useSession();

  return ({ runId, spec }) => {
    const lists = [ALL, spec?.environmentId ?? ""];
    const place = navigation.place.get();
    runs.leaving.add(runId);
    for (const key of lists) {
      const listing = runLists.get(key).value;
      if (listing) runLists.put(key, { ...listing, items: listing.items.filter((run) => run.runId !== runId) });
    }
    navigation.refine({ runId: "", policyId: "" });

    function restore() {
      runs.leaving.delete(runId);
      for (const key of lists) if (runLists.get(key).value) runLists.reload(key);
      const now = navigation.place.get();
      const same = now.environmentId === place.environmentId && now.rewardId === place.rewardId;
      if (same && now.runId === "" && now.view === place.view) navigation.refine({ runId, policyId: place.policyId });
    }

    // It is back on the page, and says there why.
    function refused(failure: Failure) {
      runs.failures.set((map) => new Map(map).set(runId, failure));
      restore();
    }

    // Who has gone back to it meanwhile is left with what there is without it.
    function deleted() {
      if (navigation.place.get().runId === runId) navigation.refine({ runId: "", policyId: "" });
    }

    runs.dismiss(runId);
    const title = spec?.title ? `“${spec.title.length > 40 ? `${spec.title.slice(0, 39)}…` : spec.title}”` : "The run";
    undo.offer(`${title} deleted; its policies stay`, () => void runs.remove(runId).then(deleted, refused), restore);
  };
}
