import { useState } from "react";
import { Link } from "../app/Link";
import { GALLERY } from "../app/location";
import { useSession } from "../app/session";
import { environmentTitle } from "../gallery/environmentTitle";
import type { Listing } from "../stores/listing";
import { ALL, useFresh, useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { FailureNotice } from "../ui/Notice";
import styles from "./History.module.css";
import { PolicyLine } from "./PolicyLine";
import { RunLine } from "./RunLine";

type Shown = "runs" | "policies";

/** Every earlier run and policy, each a link to where it goes on. */
export function History() {
  const { runLists, policyLists } = useSession();
  const [shown, setShown] = useState<Shown>("runs");
  const [environmentId, setEnvironmentId] = useState(ALL);
  const runs = useFresh(runLists, environmentId);
  const policies = useFresh(policyLists, environmentId);
  const [lists, listed] = shown === "runs" ? [runLists, runs] : [policyLists, policies];

  return (
    <div className={styles.work}>
      <h1>Your work</h1>
      <div className={styles.bar}>
        <div className={styles.tabs}>
          <button
            type="button"
            aria-pressed={shown === "runs"}
            onClick={() => setShown("runs")}
            data-testid="work-runs"
          >
            Runs <span className="number">{tally(runs.value)}</span>
          </button>
          <button
            type="button"
            aria-pressed={shown === "policies"}
            onClick={() => setShown("policies")}
            data-testid="work-policies"
          >
            Policies <span className="number">{tally(policies.value)}</span>
          </button>
        </div>
        <RobotChoice chosen={environmentId} onChoose={setEnvironmentId} />
      </div>
      {listed.failure && <FailureNotice failure={listed.failure} onRetry={() => lists.reload(environmentId)} />}
      <ul className={styles.list} aria-busy={listed.loading}>
        {!listed.value && !listed.failure && PLACEHOLDERS.map((key) => <li key={key} className={styles.placeholder} />)}
        {shown === "runs" &&
          runs.value?.items.map((run) => (
            <li key={run.runId}>
              <Link to={{ environmentId: run.spec?.environmentId ?? "", runId: run.runId }} data-testid="work-run">
                <RunLine run={run} />
              </Link>
            </li>
          ))}
        {shown === "policies" &&
          policies.value?.items.map((policy) => (
            <li key={policy.policyId}>
              <Link
                to={{ environmentId: policy.environmentId, runId: policy.runId, policyId: policy.policyId }}
                data-testid="work-policy"
              >
                <PolicyLine policy={policy} />
              </Link>
            </li>
          ))}
      </ul>
      {listed.value?.items.length === 0 && <Empty shown={shown} />}
      {listed.value?.nextPageToken && (
        <Button busy={listed.loading} onClick={() => lists.more(environmentId)} data-testid="show-more">
          Show more
        </Button>
      )}
    </div>
  );
}

const PLACEHOLDERS = ["first", "second", "third", "fourth"];

interface RobotChoiceProps {
  readonly chosen: string;
  readonly onChoose: (environmentId: string) => void;
}

/** One robot's work alone, for those who have worked with several. */
function RobotChoice({ chosen, onChoose }: RobotChoiceProps) {
  const { gallery, runLists, policyLists } = useSession();
  const environments = useResource(gallery, ALL).value?.environments ?? [];
  const runs = useResource(runLists, ALL).value?.items ?? [];
  const policies = useResource(policyLists, ALL).value?.items ?? [];
  const ids = [...runs.map(({ spec }) => spec?.environmentId ?? ""), ...policies.map((policy) => policy.environmentId)];
  const worked = [...new Set(ids)]
    .filter(Boolean)
    .map((id) => ({ id, title: environmentTitle(environments, id) }))
    .sort((a, b) => a.title.localeCompare(b.title));
  if (worked.length < 2) return null;
  return (
    <label className={styles.robot}>
      <span className="hidden-visually">Robot</span>
      <select
        className={fieldStyles.input}
        value={chosen}
        onChange={(event) => onChoose(event.target.value)}
        data-testid="work-robot"
      >
        <option value={ALL}>All robots</option>
        {worked.map(({ id, title }) => (
          <option key={id} value={id}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** How many there are: with a plus where more follow than have been loaded. */
function tally(list: Listing<unknown> | undefined): string {
  return list ? `${list.items.length}${list.nextPageToken ? "+" : ""}` : "";
}

function Empty({ shown }: { readonly shown: Shown }) {
  return (
    <div className={styles.empty}>
      <p>
        {shown === "runs" ? "Runs" : "Policies"} appear here once you have trained a robot. They stay when you close the
        page.
      </p>
      <Link to={GALLERY}>Choose a robot</Link>
    </div>
  );
}
