import { useState } from "react";
import { useSession } from "../app/session";
import { formatAgo, formatCount, formatReward } from "../format/format";
import { matches } from "../format/matching";
import { environmentTitle } from "../gallery/environmentTitle";
import type { EnvironmentSummary } from "../gen/tabrl/scene/v1/scene_pb";
import type { Run } from "../gen/tabrl/trainer/v1/trainer_pb";
import { RunLine } from "../history/RunLine";
import { policyTitle, practice, runTitle } from "../policies/policyTitle";
import type { Listing, Listings } from "../stores/listing";
import { ALL, type Loaded, useResource } from "../stores/resource";
import { bestOf, playable } from "../stores/runRecord";
import { Button } from "../ui/Button";
import { NextIcon, PlusIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import styles from "./Offers.module.css";
import { type Present, refusal } from "./pickable";

export interface OfferedProps {
  readonly present: Present;
  readonly environments: readonly EnvironmentSummary[];
  /** What the person looks for; empty for everything. */
  readonly text: string;
  readonly onPick: (policyId: string) => void;
}

/** Every policy, the newest first. */
export function PolicyOffers({ present, environments, text, onPick }: OfferedProps) {
  const { policyLists } = useSession();
  const list = useOwnFirst(policyLists, present.environmentId, ({ policyId }) => policyId);
  const shown = list.items.filter((each) =>
    matches(text, policyTitle(each), environmentTitle(environments, each.environmentId)),
  );
  return (
    <OfferList list={list} shown={shown.length} what="policy">
      {shown.map((policy) => (
        <Offer
          key={policy.policyId}
          title={policyTitle(policy)}
          facts={[
            environmentTitle(environments, policy.environmentId),
            practice(policy),
            formatAgo(policy.createTime, Date.now()),
          ]}
          refused={refusal(policy, present, environments)}
          onPick={() => onPick(policy.policyId)}
        />
      ))}
    </OfferList>
  );
}

/** Registered names, each with its versions. */
export function VersionOffers(props: OfferedProps) {
  const { registry } = useSession();
  const list = useOwnFirst(registry.lists, props.present.environmentId, ({ name }) => name);
  const shown = list.items.filter(({ name, environmentId }) =>
    matches(props.text, name, environmentTitle(props.environments, environmentId)),
  );
  return (
    <OfferList list={list} shown={shown.length} what="registered policy">
      {shown.map(({ name }) => (
        <Versions key={name} name={name} {...props} />
      ))}
    </OfferList>
  );
}

function Versions({ name, present, environments, onPick }: OfferedProps & { readonly name: string }) {
  const { registry } = useSession();
  const { value, failure } = useResource(registry.names, name);
  if (failure && !value) return <FailureNotice failure={failure} onRetry={() => registry.names.reload(name)} />;
  return value?.versions.map(({ number, policy, createTime }) => {
    if (!policy) return null;
    const tags = value.tags.filter((tag) => tag.number === number).map(({ tag }) => tag);
    return (
      <Offer
        key={number}
        title={`${name} · version ${number}`}
        facts={[
          environmentTitle(environments, value.environmentId),
          practice(policy),
          ...tags,
          formatAgo(createTime, Date.now()),
        ]}
        refused={refusal(policy, present, environments)}
        onPick={() => onPick(policy.policyId)}
      />
    );
  });
}

/** Runs, each with what the robot could do at several stages of it. */
export function CheckpointOffers({ present, environments, text, onPick }: OfferedProps) {
  const { runLists } = useSession();
  const list = useOwnFirst(runLists, present.environmentId, ({ runId }) => runId);
  const [open, setOpen] = useState<string>();
  const shown = list.items.filter(
    (run) =>
      playable(run).length > 0 && matches(text, runTitle(run), environmentTitle(environments, environmentOf(run))),
  );
  const opened = open ?? (shown.length > 0 && present.environmentId ? shown[0]?.runId : undefined);
  return (
    <OfferList list={list} shown={shown.length} what="run with a policy">
      {shown.map((run) => (
        <li key={run.runId}>
          <button
            type="button"
            className={styles.run}
            aria-expanded={opened === run.runId}
            onClick={() => setOpen(opened === run.runId ? "" : run.runId)}
            data-testid="pick-run"
          >
            <RunLine run={run} />
            <span className={styles.more}>
              <NextIcon />
            </span>
          </button>
          {opened === run.runId && <Stages run={run} present={present} environments={environments} onPick={onPick} />}
        </li>
      ))}
    </OfferList>
  );
}

function Stages({ run, present, environments, onPick }: Omit<OfferedProps, "text"> & { readonly run: Run }) {
  const checkpoints = playable(run);
  const best = bestOf(checkpoints);
  return (
    <ul className={styles.stages}>
      {checkpoints.toReversed().map((each) => {
        const { policyId, envSteps, episodeReturn } = each;
        return (
          <Offer
            key={policyId}
            title={`${formatCount(envSteps)} steps`}
            facts={[
              ...(episodeReturn === undefined ? [] : [`return ${formatReward(episodeReturn)}`]),
              ...(each === best ? ["the best"] : []),
            ]}
            refused={refusal({ policyId, environmentId: environmentOf(run) }, present, environments)}
            onPick={() => onPick(policyId)}
          />
        );
      })}
    </ul>
  );
}

interface OfferProps {
  readonly title: string;
  readonly facts: readonly string[];
  /** Why it cannot be chosen; empty when it can. */
  readonly refused: string;
  readonly onPick: () => void;
}

function Offer({ title, facts, refused, onPick }: OfferProps) {
  return (
    <li>
      <button type="button" className={styles.offer} disabled={refused !== ""} onClick={onPick} data-testid="offer">
        <span className={styles.text}>
          <strong>{title}</strong>
          <small className="number">{facts.filter(Boolean).join(" · ")}</small>
        </span>
        {refused ? <em>{refused}</em> : <PlusIcon />}
      </button>
    </li>
  );
}

interface OfferListProps {
  readonly list: OwnFirst<unknown>;
  readonly shown: number;
  /** What there is none of, such as `policy`. */
  readonly what: string;
  readonly children: React.ReactNode;
}

function OfferList({ list: { loaded, items, more, reload }, shown, what, children }: OfferListProps) {
  return (
    <>
      {loaded.failure && !loaded.value && <FailureNotice failure={loaded.failure} onRetry={reload} />}
      <ul className={styles.list} aria-busy={loaded.loading}>
        {children}
      </ul>
      {loaded.value && shown === 0 && (
        <p className={styles.none}>{items.length > 0 ? `No ${what} matches.` : `There is no ${what} yet.`}</p>
      )}
      {loaded.value?.nextPageToken && (
        <Button busy={loaded.loading} onClick={more}>
          Show more
        </Button>
      )}
    </>
  );
}

interface OwnFirst<T> {
  readonly items: readonly T[];
  readonly loaded: Loaded<Listing<T>>;
  more(): void;
  reload(): void;
}

/** What drives the chosen robot first, then all others. */
function useOwnFirst<T>(lists: Listings<T>, environmentId: string, keyOf: (item: T) => string): OwnFirst<T> {
  const own = useResource(lists, environmentId);
  const all = useResource(lists, ALL);
  const ownItems = own.value?.items ?? [];
  const listed = new Set(ownItems.map(keyOf));
  const others = all.value?.items.filter((item) => !listed.has(keyOf(item))) ?? [];
  const key = environmentId || ALL;
  return {
    items: [...ownItems, ...others],
    loaded: environmentId ? own : all,
    more: () => lists.more(key),
    reload: () => lists.reload(key),
  };
}

function environmentOf(run: Run): string {
  return run.spec?.environmentId ?? "";
}
