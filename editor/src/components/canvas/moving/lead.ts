/**
 * The way of the pointer before a drag begins. The library measures from where the pointer passed
 * its threshold, so cards would lag behind by that way: a whole event's on a busy machine.
 */
import type { NodeChange } from "@xyflow/react";
import type { CanvasNode } from "@/components/canvas/adapt";
import type { Point } from "@/model/layout";

/**
 * From where the pointer was pressed to where the drag began, in pixels of the canvas; whole steps
 * of a grid that items lie on.
 */
export function leadOf(
  pressed: Point | null,
  event: object,
  toCanvas: (screen: Point) => Point,
  grid: number | null,
): Point {
  const now = pointerOf(event);
  if (pressed === null || now === null) return { x: 0, y: 0 };
  const [from, to] = [toCanvas(pressed), toCanvas(now)];
  const snapped = (way: number) => (grid === null ? way : Math.round(way / grid) * grid);
  return { x: snapped(to.x - from.x), y: snapped(to.y - from.y) };
}

/** Where a mouse or the first finger is on the screen. */
function pointerOf(event: object): Point | null {
  const { touches, clientX, clientY } = event as Partial<TouchEvent & MouseEvent>;
  const at = touches?.[0] ?? { clientX, clientY };
  if (at.clientX === undefined || at.clientY === undefined) return null;
  return { x: at.clientX, y: at.clientY };
}

/** The changes of dragged items with the lead in them. */
export function withLead(
  changes: readonly NodeChange<CanvasNode>[],
  { x, y }: Point,
): readonly NodeChange<CanvasNode>[] {
  if (x === 0 && y === 0) return changes;
  return changes.map((change) =>
    change.type === "position" && change.position
      ? { ...change, position: { x: change.position.x + x, y: change.position.y + y } }
      : change,
  );
}
