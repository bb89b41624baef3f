/** Points and boxes as the file has them: whole numbers, told apart by value. */
import type { Box, Point } from "../layout";

export function whole(at: Point): Point {
  // Without the sign that a rounded -0.4 would keep.
  return { x: Math.round(at.x) || 0, y: Math.round(at.y) || 0 };
}

export function wholeBox(box: Box): Box {
  return { ...whole(box), width: Math.round(box.width), height: Math.round(box.height) };
}

export function samePoint(a: Point | undefined, b: Point): boolean {
  return a !== undefined && a.x === b.x && a.y === b.y;
}

export function sameBox(a: Box, b: Box): boolean {
  return samePoint(a, b) && a.width === b.width && a.height === b.height;
}
