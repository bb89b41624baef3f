/** Two invisible points that keep all cards in one layer. */
import { ViewportPortal } from "@xyflow/react";
import { memo, useMemo } from "react";
import { boundsOf } from "@/components/canvas/card/geometry";
import { boxOf, type CanvasNode } from "../adapt";
import styles from "./Corners.module.css";

/** Wider than any card's ring. */
const MARGIN = 24;

/**
 * A line of a pixel beyond the first card, and one beyond the last.
 *
 * Chromium adds a card to an existing layer only if that layer does not grow. Without these points,
 * each card outside of the cards before it got its own layer, and all layers were composited again
 * for each frame.
 */
export const Corners = memo(function Corners({ nodes }: { readonly nodes: readonly CanvasNode[] }) {
  const d = useMemo(() => {
    const box = boundsOf(nodes.map(boxOf));
    if (box === null) return "";
    const [left, top] = [box.x - MARGIN, box.y - MARGIN];
    return `M${left} ${top}h1M${left + box.width + 2 * MARGIN} ${top + box.height + 2 * MARGIN}h1`;
  }, [nodes]);
  return (
    <ViewportPortal>
      <svg className={styles.corners} aria-hidden="true" data-corners>
        <path d={d} />
      </svg>
    </ViewportPortal>
  );
});
