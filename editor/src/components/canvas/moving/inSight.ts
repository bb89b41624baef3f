/** Which boxes of a graph are to be seen. */
import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { boxOf } from "@/components/canvas/adapt";
import type { Sight } from "./movingView";

/** Left, top, right and bottom of each card, and of each link as the library reckons it. */
export function edgesOfBoxes(
  nodes: readonly CanvasNode[],
  edges: readonly CanvasEdge[],
): Float64Array {
  const found = new Float64Array(4 * (nodes.length + edges.length));
  const places = new Map<string, number>();
  let at = 0;
  for (const node of nodes) {
    const { x, y, width, height } = boxOf(node);
    places.set(node.id, at);
    found.set([x, y, x + width, y + height], at);
    at += 4;
  }
  for (const { source, target } of edges) {
    const [from, to] = [places.get(source), places.get(target)];
    if (from === undefined || to === undefined) continue;
    for (const side of [0, 1])
      found[at + side] = Math.min(found[from + side] ?? 0, found[to + side] ?? 0);
    for (const side of [2, 3])
      found[at + side] = Math.max(found[from + side] ?? 0, found[to + side] ?? 0);
    at += 4;
  }
  return found.subarray(0, at);
}

/** Whether a box is in sight now that was not before. */
export function hasNew(boxes: Float64Array, now: Sight, before: Sight): boolean {
  const [left, top, right, bottom] = areaOf(now);
  const [wasLeft, wasTop, wasRight, wasBottom] = areaOf(before);
  if (left >= wasLeft && top >= wasTop && right <= wasRight && bottom <= wasBottom) return false;
  for (let at = 0; at < boxes.length; at += 4) {
    const [x, y] = [boxes[at] ?? 0, boxes[at + 1] ?? 0];
    const [endX, endY] = [boxes[at + 2] ?? 0, boxes[at + 3] ?? 0];
    const isSeen = x < right && endX > left && y < bottom && endY > top;
    if (isSeen && !(x < wasRight && endX > wasLeft && y < wasBottom && endY > wasTop)) return true;
  }
  return false;
}

/** Left, top, right and bottom of what is seen, on the canvas. */
function areaOf({
  transform: [x, y, zoom],
  width,
  height,
}: Sight): readonly [number, number, number, number] {
  return [-x / zoom, -y / zoom, (width - x) / zoom, (height - y) / zoom];
}
