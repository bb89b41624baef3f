/** All links as a few lines, for when so much is seen that none can be told from the others. */

import { boundsOf, withMargin } from "@/components/canvas/card/geometry";
import { lineThrough, MOST_REACH } from "@/components/canvas/links/path";
import { placesOf, pointsOf } from "@/components/canvas/routes/linkPlaces";
import type { Box, Point } from "@/model/layout";
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

export interface FarLinks {
  readonly lines: readonly FarLines[];
  /** What they all lie within; null if there are none. */
  readonly bounds: Box | null;
}

/** One line for all links of a colour, those that are touched last. */
export function linesByColor(
  nodes: readonly CanvasNode[],
  edges: readonly CanvasEdge[],
  style: LinkStyle,
): FarLinks {
  const places = placesOf(nodes);
  const passed: Point[] = [];
  const found = new Map<string, { color: string; touched: boolean; parts: string[] }>();
  for (const edge of edges) {
    const points = pointsOf(places, edge);
    if (!points) continue;
    const color = edge.data?.color ?? "";
    const touched = edge.data?.touched === true || edge.selected === true;
    const key = `${color}${touched}`;
    const group = found.get(key) ?? { color, touched, parts: [] };
    found.set(key, group);
    passed.push(...points);
    group.parts.push(lineThrough(style, points).d);
  }
  const lines = [...found.values()]
    .map(({ color, touched, parts }) => ({ color, touched, d: parts.join("") }))
    .toSorted((a, b) => Number(a.touched) - Number(b.touched));
  const bounds = boundsOf(passed.map((point) => ({ ...point, width: 0, height: 0 })));
  return { lines, bounds: bounds && withMargin(bounds, MOST_REACH) };
}
