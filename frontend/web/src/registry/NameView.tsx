import { useState } from "react";
import { Link } from "../app/Link";
import { useSession } from "../app/session";
import { formatAgo } from "../format/format";
import { Thumbnail } from "../gallery/Thumbnail";
import type { PolicyVersion, RegisteredPolicy } from "../gen/tabrl/exporter/v1/registry_pb";
import { ALL, useFresh, useResource } from "../stores/resource";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { BackIcon } from "../ui/icons";
import { FailureNotice } from "../ui/Notice";
import { ABBar } from "./ABBar";
import { Differences } from "./Differences";
import { Lineage } from "./Lineage";
import styles from "./NameView.module.css";
import { EMPTY, type Slot, slotOf, versionKey, withSlot } from "./slots";
import { Tags } from "./Tags";
import { VersionCard } from "./VersionCard";

const SHOWN_FIRST = 8;
const POLICIES = { view: "policies" } as const;

/** One name: its tags, its versions, in what two of them differ, and where they come from. */
export function NameView({ name }: { readonly name: string }) {
  const { registry, navigation } = useSession();
  const { value: registered, failure } = useFresh(registry.names, name);
  // A name whose last version is gone is no more, whatever was known of it.
  const shown = failure?.reason === "VERSION_NOT_FOUND" ? undefined : registered;
  return (
    <>
      <nav aria-label="Where you are">
        <Link to={POLICIES} className={styles.back} data-testid="all-policies">
          <BackIcon />
          All policies
        </Link>
      </nav>
      {!shown && <h1 className={styles.name}>{name}</h1>}
      {failure && (
        <div className={styles.failure}>
          <FailureNotice
            failure={failure}
            onRetry={() => registry.names.reload(name)}
            wayOn={{ label: "All policies", take: () => navigation.go(POLICIES) }}
          />
        </div>
      )}
      <Homeless name={name} versions={shown?.versions ?? []} />
      {shown ? <Registered registered={shown} /> : !failure && <div className={styles.placeholder} />}
    </>
  );
}

function Registered({ registered }: { readonly registered: RegisteredPolicy }) {
  const { gallery, deletions } = useSession();
  const { name, environmentId, updateTime } = registered;
  const { value: catalogue } = useResource(gallery, ALL);
  const environment = catalogue?.environments.find((each) => each.environmentId === environmentId);
  const gone = useStore(deletions.gone);
  const versions = registered.versions.filter(({ number }) => !gone.has(versionKey(name, number)));
  const [open, setOpen] = useState(versions[0]?.number ?? 0);
  const [shown, setShown] = useState(SHOWN_FIRST);
  const [slots, setSlots] = useState(EMPTY);
  const [differing, setDiffering] = useState(false);
  const inSlot = (slot: Slot) => versions.find(({ number }) => number === slots[slot]);
  const [a, b] = [inSlot("A"), inSlot("B")];

  return (
    <>
      <header className={styles.head}>
        <div className={styles.picture}>
          <Thumbnail artifact={environment?.thumbnail} eager />
        </div>
        <div className={styles.about}>
          <h1 className={styles.name} title={name}>
            {name}
          </h1>
          <p className={styles.facts}>
            <Link to={{ environmentId }}>{environment?.title ?? environmentId}</Link>
            {" · "}
            {versions.length} {versions.length === 1 ? "version" : "versions"}
            {updateTime && ` · changed ${formatAgo(updateTime, Date.now())}`}
          </p>
          <Tags registered={registered} versions={versions} />
        </div>
      </header>
      {versions.length > 1 && (
        <ABBar a={a} b={b} differing={differing} onDiffer={setDiffering} onClear={() => setSlots(EMPTY)} />
      )}
      {differing && a && b && <Differences name={name} a={a} b={b} />}
      <section aria-labelledby="versions">
        <h2 id="versions" className={styles.heading}>
          Versions
        </h2>
        {versions.length === 0 && (
          <p className={styles.facts}>
            No version is left. <Link to={POLICIES}>All policies</Link>
          </p>
        )}
        <ol className={styles.versions} reversed>
          {versions.slice(0, shown).map((version) => (
            <li key={version.number}>
              <VersionCard
                registered={registered}
                version={version}
                open={open === version.number}
                onOpen={(wanted) => setOpen(wanted ? version.number : 0)}
                slot={slotOf(slots, version.number)}
                canCompare={versions.length > 1}
                onSlot={(slot) => setSlots((before) => withSlot(before, slot, version.number))}
                neighbour={neighbourOf(versions, version)}
              />
            </li>
          ))}
        </ol>
        {versions.length > shown && (
          <Button onClick={() => setShown(shown + 2 * SHOWN_FIRST)} data-testid="more-versions">
            Show {Math.min(versions.length - shown, 2 * SHOWN_FIRST)} older
          </Button>
        )}
      </section>
      {versions.length > 0 && <Lineage versions={versions} preferred={open} />}
    </>
  );
}

interface HomelessProps {
  readonly name: string;
  readonly versions: readonly PolicyVersion[];
}

/** What a refused deletion of a whole policy says, once its version is out of the name: also where that was the last. */
function Homeless({ name, versions }: HomelessProps) {
  const { deletions } = useSession();
  const failures = useStore(deletions.failures);
  return [...failures]
    .filter(([key]) => key.startsWith(`${name}@`) && !versions.some(({ number }) => versionKey(name, number) === key))
    .map(([key, failure]) => <FailureNotice key={key} failure={failure} onDismiss={() => deletions.dismiss(key)} />);
}

/** The version before, or of the first the one after: what it is most likely held against. */
function neighbourOf(versions: readonly PolicyVersion[], version: PolicyVersion): PolicyVersion | undefined {
  const index = versions.indexOf(version);
  return versions[index + 1] ?? versions[index - 1];
}
