import { useCallback, useLayoutEffect, useRef } from "react";
import type { Point } from "./pixels/geometry";
import { toScreen } from "./pixels/stageView";
import type { StageView } from "./stageProps";
import type { ToolState } from "./tools";

/** Smaller circles couldn't be seen. */
const LEAST = 5;

/**
 * The circle that shows where the brush would paint. It follows the pointer without drawing the page
 * again, so that strokes wait for nothing.
 */
export function useBrushCursor(tool: ToolState, view: StageView) {
  const ref = useRef<HTMLDivElement>(null);
  const spot = useRef<Point | null>(null);
  const isBrush = tool.name === "brush" || tool.name === "eraser";
  const { size } = tool;

  const place = useCallback(() => {
    const circle = ref.current;
    if (circle === null) return;
    circle.hidden = spot.current === null;
    if (spot.current === null) return;
    const width = Math.max(LEAST, isBrush ? size * view.zoom : LEAST);
    const { x, y } = toScreen(view, spot.current);
    circle.style.width = circle.style.height = `${width}px`;
    circle.style.transform = `translate(${x - width / 2}px, ${y - width / 2}px)`;
  }, [isBrush, size, view]);
  useLayoutEffect(place);

  const show = useCallback(
    (point: Point | null) => {
      spot.current = point && { x: point.x, y: point.y };
      place();
    },
    [place],
  );
  return { ref, show, spot: () => spot.current };
}
