/** All links as a few lines, for when so much is seen that none can be told from the others. */
import { ViewportPortal } from "@xyflow/react";
import { memo, useMemo } from "react";
import { type LinkStyle, useSettings } from "@/store/settings";
import { boxOf, type CanvasEdge, type CanvasNode } from "./adapt";
import styles from "./FarEdges.module.css";
import { boundsOf } from "./geometry";
import { placesOf, pointsOf } from "./linkPlaces";
import { lineThrough } from "./path";

interface FarEdgesProps {
  readonly nodes: readonly CanvasNode[];
  readonly edges: readonly CanvasEdge[];
}

export const FarEdges = memo(function FarEdges({ nodes, edges }: FarEdgesProps) {
  const style = useSettings((settings) => settings.linkStyle);
  const lines = useMemo(() => linesByColor(nodes, edges, style), [nodes, edges, style]);
  const corners = useMemo(() => cornersOf(nodes), [nodes]);
  return (
    <ViewportPortal>
      <svg className={styles.lines} aria-hidden="true">
        <path d={corners} className={styles.corners} />
        {lines.map(({ color, d, touched }) => (
          <path
            key={`${color}${touched}`}
            d={d}
            className={touched ? styles.touched : undefined}
            style={{ stroke: touched ? "var(--accent-text)" : color }}
          />
        ))}
      </svg>
    </ViewportPortal>
  );
});

/** Wider than any card's shadow or ring. */
const MARGIN = 24;

/**
 * Two points that nobody sees, by which the lines reach around all cards.
 *
 * A browser puts what it draws into one layer as long as that gets no larger by it: each card that
 * lay beyond the lines, as all at the graph's edges do, got one of its own, a hundred and fifty of
 * two thousand, which were put together anew for each frame.
 */
function cornersOf(nodes: readonly CanvasNode[]): string {
  const box = boundsOf(nodes.map(boxOf));
  if (box === null) return "";
  const [left, top] = [box.x - MARGIN, box.y - MARGIN];
  return `M${left} ${top}h1M${left + box.width + 2 * MARGIN} ${top + box.height + 2 * MARGIN}h1`;
}

interface Lines {
  readonly color: string;
  readonly touched: boolean;
  readonly d: string;
}

export function linesByColor(
  nodes: readonly CanvasNode[],
  edges: readonly CanvasEdge[],
  style: LinkStyle,
): readonly Lines[] {
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
