import { useEffect, useMemo, useRef, useState } from "react";
import { Link } from "../app/Link";
import type { GetLineageResponse, LineageNode } from "../gen/tabrl/exporter/v1/registry_pb";
import { Button } from "../ui/Button";
import styles from "./LineageGraph.module.css";
import { layOut, NODE_HEIGHT_PX, NODE_WIDTH_PX } from "./lineageLayout";
import { kindWords, madeElsewhere, nodePlace, nodeTitle } from "./lineageNodes";

/** Smaller than this it is hard to read: then it scrolls, unless a person wants to see all of it. */
const READABLE_SCALE = 0.8;

/** A lineage drawn from left to right. What it says is in the list beside it too. */
export function LineageGraph({ lineage }: { readonly lineage: GetLineageResponse }) {
  const layout = useMemo(() => layOut(lineage), [lineage]);
  const elsewhere = useMemo(() => madeElsewhere(lineage), [lineage]);
  const box = useRef<HTMLElement>(null);
  const [room, setRoom] = useState(0);
  const [fitted, setFitted] = useState(false);
  const fit = room > 0 ? Math.min(1, room / layout.width) : 1;
  const scale = fitted ? fit : Math.max(READABLE_SCALE, fit);
  // The one that was asked for is in sight, whatever else is.
  const here = ((layout.nodes[0]?.x ?? 0) + NODE_WIDTH_PX / 2) * scale;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(([entry]) => setRoom(entry?.contentRect.width ?? 0));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (box.current) box.current.scrollLeft = here - room / 2;
  }, [here, room]);

  return (
    <div className={styles.graph}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <section ref={box} className={styles.scroll} tabIndex={0} aria-label="Lineage as a picture">
        <div style={{ width: layout.width * scale, height: layout.height * scale }}>
          <div
            className={styles.canvas}
            style={{ width: layout.width, height: layout.height, transform: `scale(${scale})` }}
          >
            <svg width={layout.width} height={layout.height} aria-hidden="true">
              <defs>
                <marker
                  id="lineage-tip"
                  viewBox="0 0 8 8"
                  refX="7"
                  refY="4"
                  markerWidth="7"
                  markerHeight="7"
                  orient="auto"
                >
                  <path d="M0 0 8 4 0 8z" />
                </marker>
              </defs>
              {layout.edges.map((path) => (
                <path key={path} d={path} className={styles.edge} markerEnd="url(#lineage-tip)" />
              ))}
            </svg>
            {lineage.nodes.map((node, index) => (
              <NodeBox
                key={`${node.kind} ${node.id}`}
                node={node}
                first={index === 0}
                elsewhere={elsewhere.has(index)}
                x={layout.nodes[index]?.x ?? 0}
                y={layout.nodes[index]?.y ?? 0}
              />
            ))}
          </div>
        </div>
      </section>
      {fit < READABLE_SCALE && (
        <Button size="small" variant="quiet" onClick={() => setFitted(!fitted)}>
          {fitted ? "Larger" : "Zoom to fit"}
        </Button>
      )}
    </div>
  );
}

interface NodeBoxProps {
  readonly node: LineageNode;
  /** Whether it is the one that was asked for. */
  readonly first: boolean;
  /** Whether it was made elsewhere, before an import. */
  readonly elsewhere: boolean;
  readonly x: number;
  readonly y: number;
}

function NodeBox({ node, first, elsewhere, x, y }: NodeBoxProps) {
  const place = nodePlace(node, elsewhere);
  const title = nodeTitle(node);
  const common = {
    className: `${styles.node} ${first ? styles.here : ""}`,
    style: { left: x, top: y, width: NODE_WIDTH_PX, height: NODE_HEIGHT_PX },
    title: node.title || node.id,
  };
  const inside = (
    <>
      <small>{kindWords(node)}</small>
      <span>{title}</span>
    </>
  );
  return place ? (
    <Link to={place} {...common}>
      {inside}
    </Link>
  ) : (
    <div {...common}>{inside}</div>
  );
}
