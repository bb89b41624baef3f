/** The lines of links, in three styles, through any points between their ends. */
import type { Point } from "@/model/layout";
import type { LinkStyle } from "@/store/settings";

export interface Line {
  readonly d: string;
  /** A point in the middle, for marks. */
  readonly middle: Point;
}

/** The line from an output through the points to an input. */
export function lineThrough(style: LinkStyle, points: readonly Point[]): Line {
  const first = points[0] ?? { x: 0, y: 0 };
  const parts = [`M${at(first)}`];
  for (let index = 1; index < points.length; index += 1) {
    const [from, to] = [points[index - 1] ?? first, points[index] ?? first];
    parts.push(isUpright(points, index) ? `L${at(to)}` : segment(style, from, to));
  }
  return { d: parts.join(""), middle: middleOf(points) };
}

/** Between two points above each other, a line has nowhere to turn. */
function isUpright(points: readonly Point[], index: number): boolean {
  return index > 1 && index < points.length - 1 && points[index - 1]?.x === points[index]?.x;
}

function at({ x, y }: Point): string {
  return `${round(x)} ${round(y)}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function segment(style: LinkStyle, from: Point, to: Point): string {
  if (style === "straight") return `L${at(to)}`;
  if (style === "step") return step(from, to);
  const reach = reachOf(from, to);
  return `C${at({ x: from.x + reach, y: from.y })} ${at({ x: to.x - reach, y: to.y })} ${at(to)}`;
}

/** No line comes further beyond the points that it goes through. */
export const MOST_REACH = 160;

/** How far a curve goes straight on at its ends; more where it has to come back, but on a level. */
export function reachOf(from: Point, to: Point): number {
  const dx = to.x - from.x;
  const distance = Math.hypot(dx, to.y - from.y);
  if (dx >= 0) return Math.max(Math.min(24, distance / 2), dx / 2);
  if (to.y === from.y) return 0;
  return Math.min(24 + Math.sqrt(-dx) * 7, MOST_REACH);
}

/** The same line as straight pieces, to tell what lies on it. */
export function polyline(style: LinkStyle, points: readonly Point[]): readonly Point[] {
  return points.flatMap((to, index) => {
    const from = points[index - 1];
    if (from === undefined || isUpright(points, index)) return [to];
    return pieces(style, from, to);
  });
}

/** Of one segment, without its beginning. */
function pieces(style: LinkStyle, from: Point, to: Point): readonly Point[] {
  if (style === "straight") return [to];
  if (style === "step") return corners(from, to).slice(1);
  const reach = reachOf(from, to);
  return Array.from({ length: PIECES }, (_, index) => {
    const t = (index + 1) / PIECES;
    return {
      x: cubic(from.x, from.x + reach, to.x - reach, to.x, t),
      y: cubic(from.y, from.y, to.y, to.y, t),
    };
  });
}

const PIECES = 16;

function cubic(a: number, b: number, c: number, d: number, t: number): number {
  const u = 1 - t;
  return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
}

const STUB = 18;
const CORNER = 8;

function step(from: Point, to: Point): string {
  return rounded(corners(from, to));
}

function corners(from: Point, to: Point): readonly Point[] {
  if (to.x - from.x >= 2 * STUB || Math.abs(to.y - from.y) < 1) {
    const x = (from.x + to.x) / 2;
    return [from, { x, y: from.y }, { x, y: to.y }, to];
  }
  const y = (from.y + to.y) / 2;
  const [right, left] = [from.x + STUB, to.x - STUB];
  return [from, { x: right, y: from.y }, { x: right, y }, { x: left, y }, { x: left, y: to.y }, to];
}

function rounded(points: readonly Point[]): string {
  const parts: string[] = [];
  for (let index = 1; index < points.length - 1; index += 1) {
    const [before, corner, after] = [points[index - 1], points[index], points[index + 1]];
    if (!before || !corner || !after) continue;
    parts.push(`L${at(towards(corner, before))}Q${at(corner)} ${at(towards(corner, after))}`);
  }
  const last = points.at(-1);
  return last ? `${parts.join("")}L${at(last)}` : parts.join("");
}

function towards(from: Point, to: Point): Point {
  const distance = Math.hypot(to.x - from.x, to.y - from.y);
  if (distance === 0) return from;
  const part = Math.min(CORNER, distance / 2) / distance;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

function middleOf(points: readonly Point[]): Point {
  const half = Math.floor((points.length - 1) / 2);
  const [a, b] = [points[half], points[half + 1]];
  if (!a || !b) return a ?? { x: 0, y: 0 };
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/** Where a new point goes among those that a line has: the place that makes it the least longer. */
export function indexFor(points: readonly Point[], added: Point): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let index = 0; index < points.length - 1; index += 1) {
    const [a, b] = [points[index], points[index + 1]];
    if (!a || !b) continue;
    const more = far(a, added) + far(added, b) - far(a, b);
    if (more < least) [least, best] = [more, index];
  }
  return best;
}

function far(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
