import { formatAgo } from "../../format/format";
import { environmentTitle } from "../../gallery/environmentTitle";
import { policyTitle, practice, runTitle } from "../../policies/policyTitle";
import { ALL, useFresh, useResource } from "../../stores/resource";
import { DESTINATIONS } from "../SiteNavigation";
import { useSession } from "../session";
import type { EntryGroup } from "./entries";

/** Every place that the palette leads to, as far as it is known by now. */
export function useEntries(): { readonly groups: readonly EntryGroup[]; readonly loading: boolean } {
  const { gallery, runLists, policyLists, registry } = useSession();
  const robots = useResource(gallery, ALL);
  // What was made since they were read is what a person most likely looks for.
  const runs = useFresh(runLists, ALL);
  const policies = useFresh(policyLists, ALL);
  const names = useFresh(registry.lists, ALL);
  const environments = robots.value?.environments ?? [];
  const titleOf = (environmentId: string) => environmentTitle(environments, environmentId);

  const groups: EntryGroup[] = [
    {
      heading: "Go to",
      entries: DESTINATIONS.map(({ testId, title, to }) => ({
        id: `view.${testId}`,
        title,
        about: "Page",
        keywords: ["go"],
        to,
      })),
    },
    {
      heading: "Robots",
      entries: environments.map(({ environmentId, title, robot, description }) => ({
        id: `robot.${environmentId}`,
        title,
        about: "Robot",
        keywords: [robot, description],
        to: { environmentId },
      })),
    },
    {
      heading: "Named policies",
      entries: (names.value?.items ?? []).map(({ name, environmentId }) => ({
        id: `name.${name}`,
        title: name,
        about: titleOf(environmentId),
        keywords: ["policy", environmentId],
        to: { view: "policies", name },
      })),
    },
    {
      heading: "Runs",
      entries: (runs.value?.items ?? []).map(({ runId, spec, createTime }) => ({
        id: `run.${runId}`,
        title: runTitle({ spec }),
        about: `${titleOf(spec?.environmentId ?? "")}, ${formatAgo(createTime, Date.now())}`,
        keywords: ["run", spec?.environmentId ?? ""],
        // Within a studio it does not bring its reward along by itself where the person has put that aside.
        to: { environmentId: spec?.environmentId ?? "", rewardId: spec?.reward?.rewardId ?? "", runId },
      })),
    },
    {
      heading: "Policies",
      entries: (policies.value?.items ?? []).map(({ policyId, environmentId, runId, title, lineage, envSteps }) => ({
        id: `policy.${policyId}`,
        title: policyTitle({ title, lineage }),
        about: `${titleOf(environmentId)}, ${practice({ envSteps })}`,
        keywords: ["policy", environmentId],
        to: { environmentId, runId, policyId },
      })),
    },
  ];
  return { groups, loading: [robots, runs, policies, names].some((each) => each.loading && each.value === undefined) };
}
