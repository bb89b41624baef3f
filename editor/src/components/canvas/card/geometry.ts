/** Where the parts of a card stand: known without measuring, so that links need no second pass. */
import type { Box, Point, Size } from "@/model/layout";
import { fieldsHeight, pictureHeight, portsHeight, USUAL_WIDTH, usualWidth } from "@/model/sizes";
import type { CardModel } from "./card";

export const CARD_WIDTH = USUAL_WIDTH;
export const CARD_MIN_WIDTH = 176;
export const HEADER_HEIGHT = 30;
export const PORTS_TOP = 4;
export const PORT_ROW = 24;
/** Width and height of a port's dot as the mouse finds it; the dot itself is smaller. */
export const PORT_SIZE = 14;
export const END_WIDTH = 168;
export const REROUTE_SIZE = 14;
/** What is said of a card whose type nobody knows. */
const UNKNOWN_HEIGHT = 84;

/** Middle of a port's row, from the top of its card. */
export function portY(row: number, collapsed: boolean): number {
  if (collapsed) return HEADER_HEIGHT / 2;
  return HEADER_HEIGHT + PORTS_TOP + row * PORT_ROW + PORT_ROW / 2;
}

export function portRows(card: CardModel): number {
  return Math.max(card.inputs.length, card.outputs.length);
}

export function estimatedSize(
  card: CardModel,
  size: Size | undefined,
  collapsed: boolean,
): Required<Size> {
  const width = Math.max(CARD_MIN_WIDTH, size?.width ?? usualWidth(card.spec));
  if (collapsed) return { width, height: HEADER_HEIGHT + 2 };
  const words = card.spec === null && !card.pending ? UNKNOWN_HEIGHT : 0;
  const fields = fieldsHeight(card.entry, card.widgets, card.hidden, width);
  const pictures = pictureHeight(card.spec, size, width);
  const height = HEADER_HEIGHT + portsHeight(portRows(card)) + words + fields + pictures + 2;
  return { width, height: Math.max(height, size?.height ?? 0) };
}

/** The box with some room on all sides. */
export function withMargin(box: Box, margin: number): Box {
  return {
    x: box.x - margin,
    y: box.y - margin,
    width: box.width + 2 * margin,
    height: box.height + 2 * margin,
  };
}

/** The box around some boxes; null of none. */
export function boundsOf(boxes: Iterable<Point & Required<Size>>): (Point & Required<Size>) | null {
  let left = Number.POSITIVE_INFINITY;
  let top = Number.POSITIVE_INFINITY;
  let right = Number.NEGATIVE_INFINITY;
  let bottom = Number.NEGATIVE_INFINITY;
  for (const box of boxes) {
    left = Math.min(left, box.x);
    top = Math.min(top, box.y);
    right = Math.max(right, box.x + box.width);
    bottom = Math.max(bottom, box.y + box.height);
  }
  return left > right ? null : { x: left, y: top, width: right - left, height: bottom - top };
}
