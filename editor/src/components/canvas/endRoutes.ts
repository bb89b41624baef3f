/**
 * Ways around cards for the links of a block's own inputs and outputs.
 *
 * The file has no points for these, so their ways are found anew wherever the cards stand.
 */
import type { Box } from "@/model/layout";
import type { LinkStyle } from "@/store/settings";
import type { CanvasEdge, CanvasNode } from "./adapt";
import { placesOf, pointsOf } from "./linkPlaces";
import { type Ends, routesAround } from "./routes";

/** The edges, with points for those at a block's ends that would run behind a card. */
export function ledAtEnds(
  edges: readonly CanvasEdge[],
  nodes: readonly CanvasNode[],
  style: LinkStyle,
): readonly CanvasEdge[] {
  const loose = edges.filter(({ data }) => data?.end);
  if (loose.length === 0) return edges;
  const places = placesOf(nodes);
  const ends = new Map(
    loose.flatMap((edge) => {
      const [from, to] = pointsOf(places, edge) ?? [];
      return from && to ? [[edge.id, { from, to }] as const] : [];
    }),
  );
  const endsOf = ({ id }: { readonly id: string }): Ends | null => ends.get(id) ?? null;
  const asked = loose.map(({ id, source, target, sourceHandle, targetHandle }) => ({
    id,
    from: { node: source, port: sourceHandle ?? "" },
    to: { node: target, port: targetHandle ?? "" },
  }));
  const found = routesAround(asked, boxesOf(nodes), endsOf, style);
  if (found.size === 0) return edges;
  return edges.map((edge) => {
    const points = found.get(edge.id);
    return points && edge.data ? { ...edge, data: { ...edge.data, points } } : edge;
  });
}

function boxesOf(nodes: readonly CanvasNode[]): ReadonlyMap<string, Box> {
  return new Map(
    nodes.flatMap((node) => {
      if (node.type !== "card") return [];
      const height = node.measured?.height ?? node.initialHeight ?? 0;
      return [[node.id, { ...node.position, width: node.width ?? 0, height }] as const];
    }),
  );
}
