import * as dagre from "@dagrejs/dagre";
import type { GetLineageResponse } from "../gen/tabrl/exporter/v1/registry_pb";

/** Size of a node's box, in pixels at full scale. */
export const NODE_WIDTH_PX = 176;
export const NODE_HEIGHT_PX = 52;

interface Placed {
  /** Left and top of its box. */
  readonly x: number;
  readonly y: number;
}

/** Where everything of a lineage is drawn, in pixels at full scale. */
export interface LineageLayout {
  readonly width: number;
  readonly height: number;
  /** As many as there are nodes, in their order. */
  readonly nodes: readonly Placed[];
  /** Paths for SVG. */
  readonly edges: readonly string[];
}

/** Lays a lineage out from left to right: what came first is to the left of what came from it. */
export function layOut({ nodes, edges }: Pick<GetLineageResponse, "nodes" | "edges">): LineageLayout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 44, marginx: 4, marginy: 4 });
  graph.setDefaultEdgeLabel(() => ({}));
  nodes.forEach((_, index) => {
    graph.setNode(String(index), { width: NODE_WIDTH_PX, height: NODE_HEIGHT_PX });
  });
  for (const { source, target } of edges) {
    if (source < nodes.length && target < nodes.length) graph.setEdge(String(source), String(target));
  }
  dagre.layout(graph);
  const { width = 0, height = 0 } = graph.graph();
  return {
    width,
    height,
    nodes: nodes.map((_, index) => {
      const { x, y } = graph.node(String(index));
      return { x: x - NODE_WIDTH_PX / 2, y: y - NODE_HEIGHT_PX / 2 };
    }),
    edges: graph.edges().map((edge) => curve(graph.edge(edge).points)),
  };
}

/** A soft line through the points that the layout wants an edge to pass. */
function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let [x, y] = [first.x, first.y];
  let path = `M${x} ${y}`;
  for (const next of rest) {
    const middle = (x + next.x) / 2;
    path += ` C${middle} ${y} ${middle} ${next.y} ${next.x} ${next.y}`;
    [x, y] = [next.x, next.y];
  }
  return path;
}
