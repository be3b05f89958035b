import { Suspense, useId, useState } from "react";
import { Link } from "../app/Link";
import { loadLater } from "../app/loadLater";
import { useSession } from "../app/session";
import type { GetLineageResponse, LineageNode, PolicyVersion } from "../gen/tabrl/exporter/v1/registry_pb";
import { useFresh } from "../stores/resource";
import { Boundary } from "../ui/Boundary";
import { FailureNotice } from "../ui/Notice";
import styles from "./Lineage.module.css";
import { kindWords, madeElsewhere, nodePlace, nodeTitle } from "./lineageNodes";

const { Component: LineageGraph } = loadLater(async () => (await import("./LineageGraph")).LineageGraph);

interface LineageProps {
  readonly versions: readonly PolicyVersion[];
  /** Number of the version that the person looks at; 0 for none. */
  readonly preferred: number;
}

/** What a version came from and what came from it: as a picture, and as a list. */
export function Lineage({ versions, preferred }: LineageProps) {
  const { registry } = useSession();
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const version =
    versions.find(({ number }) => number === (chosen || preferred)) ??
    versions.find(({ number }) => number === preferred) ??
    versions[0];
  const policyId = version?.policy?.policyId ?? "";
  const { value: lineage, failure } = useFresh(registry.lineages, policyId);
  return (
    <section className={styles.lineage} aria-labelledby="lineage" data-testid="lineage">
      <div className={styles.head}>
        <h2 id="lineage">Where it comes from, and what came from it</h2>
        <label htmlFor={id} className="hidden-visually">
          Version
        </label>
        <select id={id} value={version?.number} onChange={(event) => setChosen(Number(event.target.value))}>
          {versions.map(({ number }) => (
            <option key={number} value={number}>
              version {number}
            </option>
          ))}
        </select>
      </div>
      {failure && <FailureNotice failure={failure} onRetry={() => registry.lineages.reload(policyId)} />}
      {lineage ? (
        <>
          <Boundary what="The picture">
            <Suspense fallback={<div className={styles.placeholder} />}>
              <LineageGraph lineage={lineage} />
            </Suspense>
          </Boundary>
          <details className={styles.list}>
            <summary>As a list</summary>
            <LineageList lineage={lineage} />
          </details>
        </>
      ) : (
        !failure && <div className={styles.placeholder} />
      )}
    </section>
  );
}

function LineageList({ lineage: { nodes, edges } }: { readonly lineage: GetLineageResponse }) {
  const elsewhere = madeElsewhere({ nodes, edges });
  return (
    <ul>
      {nodes.map((node, index) => {
        const from = edges.filter(({ target }) => target === index).flatMap(({ source }) => nodes[source] ?? []);
        return (
          <li key={`${node.kind} ${node.id}`}>
            <NodeName node={node} elsewhere={elsewhere.has(index)} />
            {from.length > 0 && (
              <> from {from.map((each) => `${kindWords(each).toLowerCase()} ${nodeTitle(each)}`).join(", ")}</>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function NodeName({ node, elsewhere }: { readonly node: LineageNode; readonly elsewhere: boolean }) {
  const place = nodePlace(node, elsewhere);
  const words = `${kindWords(node)} ${nodeTitle(node)}`;
  return place ? <Link to={place}>{words}</Link> : <strong>{words}</strong>;
}
