/** All links as a few lines, for when so much is seen that none can be told from the others. */

import { lineThrough } from "@/components/canvas/links/path";
import { placesOf, pointsOf } from "@/components/canvas/routes/linkPlaces";
import type { LinkStyle } from "@/store/settings";
import type { CanvasEdge, CanvasNode } from "../adapt";

export interface FarLines {
  /** In CSS, perhaps a variable. */
  readonly color: string;
  /** Whether they are selected, or begin or end at something that is. */
  readonly touched: boolean;
  /** As in the path of an SVG. */
  readonly d: string;
}

/** One line for all links of a colour, those that are touched last. */
export function linesByColor(
  nodes: readonly CanvasNode[],
  edges: readonly CanvasEdge[],
  style: LinkStyle,
): readonly FarLines[] {
  const places = placesOf(nodes);
  const found = new Map<string, { color: string; touched: boolean; parts: string[] }>();
  for (const edge of edges) {
    const points = pointsOf(places, edge);
    if (!points) continue;
    const color = edge.data?.color ?? "";
    const touched = edge.data?.touched === true || edge.selected === true;
    const key = `${color}${touched}`;
    const group = found.get(key) ?? { color, touched, parts: [] };
    found.set(key, group);
    group.parts.push(lineThrough(style, points).d);
  }
  return [...found.values()]
    .map(({ color, touched, parts }) => ({ color, touched, d: parts.join("") }))
    .toSorted((a, b) => Number(a.touched) - Number(b.touched));
}
