/** Room for a card that comes in between two others. */
import type { Box, Point } from "./layout";

/** Between the card and what is beside it, in pixels of the canvas. */
const GAP = 40;
/** What may touch without being in the way. */
const SLACK = 1;

export interface Room {
  readonly moves: ReadonlyMap<string, Point>;
  /** What begins at `from` or behind it has moved to the right by so much. */
  readonly from: number;
  readonly by: number;
}

/**
 * Where cards go so that the one in between covers nobody: it stands clear of the one it follows,
 * all from the one that follows it on move to the right, and what is still in its way is passed
 * below.
 */
export function roomFor(
  boxes: ReadonlyMap<string, Box>,
  name: string,
  before: string,
  after: string,
): Room {
  const [own, first, second] = [boxes.get(name), boxes.get(before), boxes.get(after)];
  const moves = new Map<string, Point>();
  if (!own) return { moves, from: 0, by: 0 };
  let place: Box = own;
  if (first && overlap(place, first)) place = { ...place, x: first.x + first.width + GAP };
  const isAhead = second !== undefined && (!first || second.x >= first.x + first.width);
  const from = isAhead ? second.x : Number.POSITIVE_INFINITY;
  const by = isAhead && facing(place, second) ? Math.max(0, place.x + place.width + GAP - from) : 0;
  const others: Box[] = [];
  for (const [other, box] of boxes) {
    if (other === name) continue;
    const isMoved = by > 0 && box.x >= from;
    if (isMoved) moves.set(other, { x: box.x + by, y: box.y });
    others.push(isMoved ? { ...box, x: box.x + by } : box);
  }
  for (const box of others.sort((a, b) => a.y - b.y)) {
    if (overlap(place, box)) place = { ...place, y: box.y + box.height + GAP };
  }
  if (place.x !== own.x || place.y !== own.y) moves.set(name, { x: place.x, y: place.y });
  return { moves, from, by };
}

function overlap(a: Box, b: Box): boolean {
  return facing(a, b) && a.x < b.x + b.width - SLACK && b.x < a.x + a.width - SLACK;
}

/** Whether they are side by side, and not one above the other. */
function facing(a: Box, b: Box): boolean {
  return a.y < b.y + b.height - SLACK && b.y < a.y + a.height - SLACK;
}
