/** Fewer crossings of links: boxes in a column change places where their ports say so. */
import type { Point } from "./layout";
import type { Extent } from "./sizes";
import type { Wire } from "./wires";

/** Each round goes once over all columns. */
const ROUNDS = 12;
/** In columns of more boxes, only neighbours change places. */
const MOST_TRIED = 12;

/**
 * The places with boxes of a column exchanged wherever that leaves fewer crossings. What orders the columns
 * knows boxes, not ports: of two prompts, it may put the one above that is linked below.
 */
export function untangled(
  places: ReadonlyMap<string, Point>,
  sizes: ReadonlyMap<string, Extent>,
  wires: readonly Wire[],
): ReadonlyMap<string, Point> {
  const found = new Map(places);
  const sizeOf = (name: string) => sizes.get(name) ?? { width: 0, height: 0 };
  const touching = new Map<string, Wire[]>();
  for (const wire of wires) {
    for (const name of [wire.from, wire.to]) {
      touching.set(name, [...(touching.get(name) ?? []), wire]);
    }
  }
  const ends = ({ from, to, out, into }: Wire): Segment => {
    const [a, b] = [found.get(from) ?? ORIGIN, found.get(to) ?? ORIGIN];
    return [
      { x: a.x + sizeOf(from).width, y: a.y + out },
      { x: b.x, y: b.y + into },
    ];
  };
  /** Among the links of some boxes. */
  const crossings = (names: readonly string[]): number => {
    const lines = [...new Set(names.flatMap((name) => touching.get(name) ?? []))].map(ends);
    return lines.reduce(
      (sum, line, index) =>
        sum + lines.slice(index + 1).filter((other) => cross(line, other)).length,
      0,
    );
  };
  /** One below the other in this order, from where the first of `before` stands, with its gaps. */
  const stand = (names: readonly string[], before: readonly (readonly [string, Point])[]): void => {
    let y = before[0]?.[1].y ?? 0;
    for (const [index, name] of names.entries()) {
      found.set(name, { x: found.get(name)?.x ?? 0, y });
      const [was = "", at = ORIGIN] = before[index] ?? [];
      const below = before[index + 1]?.[1].y ?? 0;
      y += sizeOf(name).height + (below - at.y - sizeOf(was).height);
    }
  };
  const isBetterSwapped = (column: string[], from: number, to: number): boolean => {
    const some = column.slice(from, to + 1);
    const tangled = crossings(some);
    if (tangled === 0) return false;
    const before = some.map((name) => [name, found.get(name) ?? ORIGIN] as const);
    const swapped = some.with(0, some.at(-1) ?? "").with(-1, some[0] ?? "");
    stand(swapped, before);
    if (crossings(some) < tangled) {
      column.splice(from, some.length, ...swapped);
      return true;
    }
    for (const [name, at] of before) found.set(name, at);
    return false;
  };
  const columns = columnsOf(places, sizeOf);
  for (const column of columns) {
    column.sort((a, b) => (found.get(a)?.y ?? 0) - (found.get(b)?.y ?? 0));
  }
  for (let round = 0, isBetter = true; round < ROUNDS && isBetter; round += 1) {
    isBetter = false;
    for (const column of columns) {
      const reach = column.length > MOST_TRIED ? 1 : column.length - 1;
      for (let apart = 1; apart <= reach; apart += 1)
        for (let from = 0; from + apart < column.length; from += 1)
          if (isBetterSwapped(column, from, from + apart)) isBetter = true;
    }
  }
  return found;
}

const ORIGIN: Point = { x: 0, y: 0 };

type Segment = readonly [Point, Point];

/** Boxes one above the other: those of a rank have their middles on one line. */
function columnsOf(
  places: ReadonlyMap<string, Point>,
  sizeOf: (name: string) => Extent,
): readonly string[][] {
  const columns = new Map<number, string[]>();
  for (const [name, { x }] of places) {
    const middle = Math.round(x + sizeOf(name).width / 2);
    columns.set(middle, [...(columns.get(middle) ?? []), name]);
  }
  return [...columns.values()];
}

/** Whether two links cross; those that share an end don't. */
function cross([a, b]: Segment, [c, d]: Segment): boolean {
  if (same(a, c) || same(b, d)) return false;
  return isLeft(a, b, c) !== isLeft(a, b, d) && isLeft(c, d, a) !== isLeft(c, d, b);
}

function same(a: Point, b: Point): boolean {
  return a.x === b.x && a.y === b.y;
}

/** Whether a point is left of the line from one point through another. */
function isLeft(a: Point, b: Point, { x, y }: Point): boolean {
  return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) > 0;
}
