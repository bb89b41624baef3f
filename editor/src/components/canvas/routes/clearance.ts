/** How far from cards the ways of links stay. */
import type { Box, Point } from "@/model/layout";
import type { Span } from "./boxIndex";

/** Between a way and the cards that it passes, in pixels of the canvas. */
export const CLEAR = 18;
/** How far from a card a link must stay, so that it doesn't look as if it ran behind it. */
export const APART = 6;

/** The span of some points, with some room on all sides. */
export function around(points: readonly Point[], by: number): Span {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of points) {
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return { left: left - by, right: right + by, top: top - by, bottom: bottom + by };
}

export function isInside(a: Span, b: Span): boolean {
  return a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
}

/** Whether a line runs behind one of some cards. */
export function isBehind(line: readonly Point[], boxes: readonly Box[]): boolean {
  if (boxes.length === 0) return false;
  const { left, right, top, bottom } = around(line, APART);
  return boxes.some((box) => {
    if (box.x > right || box.x + box.width < left) return false;
    if (box.y > bottom || box.y + box.height < top) return false;
    return line.some((point, index) => index > 0 && crosses(box, line[index - 1] ?? point, point));
  });
}

/** Whether a straight piece runs through a card: it is cut off at each side in turn. */
function crosses(box: Box, from: Point, to: Point): boolean {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const [left, right] = [box.x - APART, box.x + box.width + APART];
  const [top, bottom] = [box.y - APART, box.y + box.height + APART];
  if (dx === 0 && (from.x <= left || from.x >= right)) return false;
  if (dy === 0 && (from.y <= top || from.y >= bottom)) return false;
  const enters = Math.max(
    partAt(from.x, dx, dx > 0 ? left : right, 0),
    partAt(from.y, dy, dy > 0 ? top : bottom, 0),
    0,
  );
  const leaves = Math.min(
    partAt(from.x, dx, dx > 0 ? right : left, 1),
    partAt(from.y, dy, dy > 0 ? bottom : top, 1),
    1,
  );
  return enters < leaves;
}

/** Which part of a way has been gone at a limit, 0 to 1; `level` where it doesn't come nearer. */
function partAt(from: number, way: number, limit: number, level: number): number {
  return way === 0 ? level : (limit - from) / way;
}
