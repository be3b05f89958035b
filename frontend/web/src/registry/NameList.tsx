import { useMemo, useState } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { matches } from "../format/matching";
import type { RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import { policyTitle } from "../policies/policyTitle";
import { ALL, useFresh, useResource } from "../stores/resource";
import { Button } from "../ui/Button";
import fieldStyles from "../ui/Field.module.css";
import { SearchIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { ImportButton, ImportOutcome } from "./ImportZone";
import { NameCard } from "./NameCard";
import styles from "./NameList.module.css";
import { Unregistered } from "./Unregistered";
import type { Importing } from "./useImport";

const PLACEHOLDERS = Array.from({ length: 4 }, (_, index) => `waiting-${index}`);

/** Every name as a card, and below them the policies that have none. */
export function NameList({ importing }: { readonly importing: Importing }) {
  const { gallery, registry } = useSession();
  const listed = useFresh(registry.lists, ALL);
  const { value: catalogue } = useResource(gallery, ALL);
  const [text, setText] = useState("");
  const [robot, setRobot] = useState("");
  const environments = useMemo(
    () => new Map(catalogue?.environments.map((each) => [each.environmentId, each])),
    [catalogue],
  );
  const robotOf = ({ environmentId }: { readonly environmentId: string }) =>
    environments.get(environmentId)?.robot ?? environmentId;
  const names = listed.value?.items;
  const robots = [...new Set(names?.map(robotOf))].sort();
  const shown = names?.filter(
    (registered) =>
      (!robot || robotOf(registered) === robot) &&
      matches(text, ...wordsOf(registered, environments.get(registered.environmentId))),
  );

  return (
    <>
      <header className={styles.head}>
        <div>
          <h1>Policies</h1>
          <p className={styles.intro}>
            A policy is what a robot has learnt: it decides, many times a second, what each motor does. Give the good
            ones a name, and keep every version of them.
          </p>
        </div>
        <ImportButton importing={importing} />
      </header>
      <ImportOutcome importing={importing} />
      {listed.failure && (
        <div className={styles.failure}>
          <FailureNotice failure={listed.failure} onRetry={() => registry.lists.reload(ALL)} />
        </div>
      )}
      {names?.length === 0 && <Empty />}
      {names?.length !== 0 && (names || !listed.failure) && (
        <section aria-labelledby="registered">
          <h2 id="registered" className="hidden-visually">
            Registered
          </h2>
          <div className={styles.bar}>
            <label className={styles.search}>
              <SearchIcon />
              <span className="hidden-visually">Search policies</span>
              <input
                className={fieldStyles.input}
                type="search"
                placeholder="Search: name, tag, robot, notes…"
                value={text}
                onChange={(event) => setText(event.target.value)}
                data-testid="registry-search"
              />
            </label>
            <label className={styles.robot}>
              <span className="hidden-visually">Robot</span>
              <select
                className={fieldStyles.input}
                value={robot}
                onChange={(event) => setRobot(event.target.value)}
                data-testid="registry-robot"
              >
                <option value="">All robots</option>
                {robots.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
          </div>
          <ul className={styles.grid} aria-busy={listed.loading}>
            {shown?.map((registered, index) => (
              <li key={registered.name}>
                <NameCard
                  registered={registered}
                  environment={environments.get(registered.environmentId)}
                  eager={index < 8}
                />
              </li>
            ))}
            {!names && !listed.failure && PLACEHOLDERS.map((key) => <li key={key} className={styles.placeholder} />)}
          </ul>
          {shown?.length === 0 && (
            <div className={styles.nothing}>
              <p>
                Nothing matches{text && <> “{text}”</>}
                {robot && <> among {robot}</>}.
              </p>
              <Button
                size="small"
                onClick={() => {
                  setText("");
                  setRobot("");
                }}
              >
                Show all policies
              </Button>
            </div>
          )}
          {listed.value?.nextPageToken && (
            <Button
              className={styles.more}
              busy={listed.loading}
              onClick={() => registry.lists.more(ALL)}
              data-testid="more-names"
            >
              Show more
            </Button>
          )}
        </section>
      )}
      <Unregistered robotOf={robotOf} robot={robot} text={text} />
    </>
  );
}

function Empty() {
  return (
    <section className={styles.empty} data-testid="registry-empty">
      <h2>No policy has a name yet</h2>
      <p>Three ways to one:</p>
      <ol>
        <li>
          <Link to={{}}>Choose a robot</Link>, describe a behaviour and train. Under “See how well it does” the policy
          takes a name.
        </li>
        <li>Register one of those that were trained here already, below.</li>
        <li>Import one that somebody shared: drop its .tabrl file anywhere on this page.</li>
      </ol>
    </section>
  );
}

/** All by which a name may be found. */
function wordsOf(
  { name, tags, environmentId, versions }: RegisteredPolicy,
  environment: EnvironmentSummary | undefined,
): readonly (string | undefined)[] {
  const newest = versions[0];
  return [
    name,
    environmentId,
    environment?.title,
    ...tags.map(({ tag }) => tag),
    newest?.notes,
    newest?.policy && policyTitle(newest.policy),
    newest?.policy?.lineage?.prompt,
  ];
}
