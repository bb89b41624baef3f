/** Boxes put in line, or at even distances. */
import type { Box, Point } from "./layout";
import { around } from "./sizes";

export type Side = "left" | "right" | "top" | "bottom" | "center" | "middle";

/** Corners of boxes in line: "center" is the vertical middle line, "middle" the horizontal one. */
export function align(boxes: ReadonlyMap<string, Box>, side: Side): Map<string, Point> {
  const all = around(boxes.values());
  if (!all) return new Map();
  return new Map([...boxes].map(([name, box]) => [name, rounded(aligned(box, all, side))]));
}

function aligned(box: Box, all: Box, side: Side): Point {
  switch (side) {
    case "left":
      return { x: all.x, y: box.y };
    case "right":
      return { x: all.x + all.width - box.width, y: box.y };
    case "center":
      return { x: all.x + (all.width - box.width) / 2, y: box.y };
    case "top":
      return { x: box.x, y: all.y };
    case "bottom":
      return { x: box.x, y: all.y + all.height - box.height };
    case "middle":
      return { x: box.x, y: all.y + (all.height - box.height) / 2 };
  }
}

export type Direction = "horizontal" | "vertical";

/** Corners of boxes with even gaps, the first and the last staying; overlaps become gaps of 16. */
export function distribute(
  boxes: ReadonlyMap<string, Box>,
  direction: Direction,
): Map<string, Point> {
  const isFlat = direction === "horizontal";
  const start = (box: Box) => (isFlat ? box.x : box.y);
  const length = (box: Box) => (isFlat ? box.width : box.height);
  const sorted = [...boxes].sort(([, a], [, b]) => start(a) - start(b));
  const [first, last] = [sorted[0]?.[1], sorted.at(-1)?.[1]];
  if (!first || !last || sorted.length < 2) return new Map();
  const filled = sorted.reduce((sum, [, box]) => sum + length(box), 0);
  const room = start(last) + length(last) - start(first) - filled;
  const gap = Math.max(16, room / (sorted.length - 1));
  const found = new Map<string, Point>();
  let at = start(first);
  for (const [name, box] of sorted) {
    found.set(name, rounded(isFlat ? { x: at, y: box.y } : { x: box.x, y: at }));
    at += length(box) + gap;
  }
  return found;
}

function rounded({ x, y }: Point): Point {
  return { x: Math.round(x), y: Math.round(y) };
}
