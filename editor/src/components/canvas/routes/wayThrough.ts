/**
 * The way of a link through cards that stand anywhere: level and upright beside them, as often as it
 * takes. Where cards stand in columns, shorter ways with fewer turns are looked for first.
 */
import { polyline } from "@/components/canvas/links/path";
import type { Box, Point } from "@/model/layout";
import type { LinkStyle } from "@/store/settings";
import type { Span } from "./boxIndex";
import { APART, around, CLEAR, isBehind } from "./clearance";

/** Around the ends of a link, in pixels of the canvas, a way is looked for. */
const REACH = 1200;
/** Among more cards, looking would take too long. */
const MOST_BOXES = 120;
/** What a turn is worth, in pixels of the canvas. */
const TURN = 60;

interface Ends {
  readonly from: Point;
  readonly to: Point;
}

interface Joined {
  readonly source: Box | undefined;
  readonly target: Box | undefined;
}

/**
 * Points of the shortest way with few turns; null if there is none.
 *
 * Args:
 *   own: The cards that the link joins, which are in its way, too.
 *   othersIn: The other cards within a span.
 */
export function wayThrough(
  { from, to }: Ends,
  { source, target }: Joined,
  othersIn: (span: Span) => readonly Box[],
  style: LinkStyle,
): readonly Point[] | null {
  const others = othersIn(around([from, to], REACH));
  if (!source || !target || others.length > MOST_BOXES) return null;
  const boxes = [...others, source, target];
  const first = { x: Math.round(from.x + CLEAR), y: from.y };
  const last = { x: Math.round(to.x - CLEAR), y: to.y };
  const streets = new Streets(boxes, first, last);
  const found = streets.way(first, last);
  if (found === null || isBehind(polyline(style, [from, ...found, to]), others)) return null;
  return found;
}

/** The lines beside cards, along which links may run. */
class Streets {
  private readonly xs: readonly number[];
  private readonly ys: readonly number[];

  constructor(
    private readonly boxes: readonly Box[],
    first: Point,
    last: Point,
  ) {
    this.xs = sorted([
      first.x,
      last.x,
      ...boxes.flatMap(({ x, width }) => [x - CLEAR, x + width + CLEAR].map(Math.round)),
    ]);
    this.ys = sorted([
      first.y,
      last.y,
      ...boxes.flatMap(({ y, height }) => [y - CLEAR, y + height + CLEAR].map(Math.round)),
    ]);
  }

  /** The turns of the best way between two of its crossings, both of them with it. */
  way(first: Point, last: Point): readonly Point[] | null {
    const { xs, ys } = this;
    // A crossing that is come to level is another one than that which is come to upright.
    const start = this.at(first) * 2;
    const goal = this.at(last);
    const costs = new Map([[start, 0]]);
    const before = new Map<number, number>();
    const queue = new Queue();
    queue.add(start, 0);
    for (let state = queue.take(); state !== null; state = queue.take()) {
      const [place, isUpright] = [Math.floor(state / 2), state % 2];
      if (place === goal) return this.turns(before, state);
      const [column, row] = [place % xs.length, Math.floor(place / xs.length)];
      for (const [across, down] of STEPS) {
        const [x, y] = [xs[column + across], ys[row + down]];
        const [x0, y0] = [xs[column] ?? 0, ys[row] ?? 0];
        if (x === undefined || y === undefined || !this.isFree(x0, y0, x, y)) continue;
        const next = (place + across + down * xs.length) * 2 + (down === 0 ? 0 : 1);
        const turn = next % 2 === isUpright ? 0 : TURN;
        const cost = (costs.get(state) ?? 0) + Math.abs(x - x0) + Math.abs(y - y0) + turn;
        if (cost >= (costs.get(next) ?? Number.POSITIVE_INFINITY)) continue;
        costs.set(next, cost);
        before.set(next, state);
        queue.add(next, cost + Math.abs(x - last.x) + Math.abs(y - last.y));
      }
    }
    return null;
  }

  private at({ x, y }: Point): number {
    return this.ys.indexOf(y) * this.xs.length + this.xs.indexOf(x);
  }

  private turns(before: ReadonlyMap<number, number>, end: number): readonly Point[] {
    const points: Point[] = [];
    for (let state: number | undefined = end; state !== undefined; state = before.get(state)) {
      const place = Math.floor(state / 2);
      const [column, row] = [place % this.xs.length, Math.floor(place / this.xs.length)];
      points.unshift({ x: this.xs[column] ?? 0, y: this.ys[row] ?? 0 });
    }
    return points.filter((point, index) => {
      const [a, b] = [points[index - 1], points[index + 1]];
      return (
        !a || !b || !((a.x === point.x && b.x === point.x) || (a.y === point.y && b.y === point.y))
      );
    });
  }

  private isFree(x0: number, y0: number, x1: number, y1: number): boolean {
    const [left, right] = [Math.min(x0, x1) - APART, Math.max(x0, x1) + APART];
    const [top, bottom] = [Math.min(y0, y1) - APART, Math.max(y0, y1) + APART];
    return !this.boxes.some(
      ({ x, y, width, height }) => x < right && x + width > left && y < bottom && y + height > top,
    );
  }
}

const STEPS = [
  [1, 0],
  [-1, 0],
  [0, 1],
  [0, -1],
] as const;

function sorted(values: readonly number[]): readonly number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** What is looked at next: the one with the least cost. */
class Queue {
  private readonly heap: { readonly state: number; readonly cost: number }[] = [];

  add(state: number, cost: number): void {
    const { heap } = this;
    let at = heap.length;
    heap.push({ state, cost });
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent]?.cost ?? 0) <= (heap[at]?.cost ?? 0)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  take(): number | null {
    const { heap } = this;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length > 0) heap[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      for (const child of [left, right])
        if ((heap[child]?.cost ?? Number.POSITIVE_INFINITY) < (heap[least]?.cost ?? 0))
          least = child;
      if (least === at) return first.state;
      this.swap(at, least);
      at = least;
    }
  }

  private swap(a: number, b: number): void {
    const { heap } = this;
    const [one, other] = [heap[a], heap[b]];
    if (!one || !other) return;
    [heap[a], heap[b]] = [other, one];
  }
}
