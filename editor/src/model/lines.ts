/** Long graphs broken into lines, as text is: what is one row else is a thread when it is seen whole. */
import type { Point } from "./layout";
import { around, boxAt, type Extent } from "./sizes";
import type { Wire } from "./wires";

/** A graph that is no wider than this, in pixels, is seen at a glance as it is. */
const WIDEST = 3600;
/** Times its height. */
const FLATTEST = 4;
/** Width over height of what is seen at once. */
const WINDOW = 1.6;
/** How much shorter and longer than others a line may be, to end where little is carried on. */
const [SHORTEST, LONGEST] = [0.6, 1.15];
/** Nodes whose outputs may be carried from line to line; with more, one row is clearer. */
const MOST_CARRIED = 3;
const BETWEEN_LINES = 96;

interface Column {
  readonly names: readonly string[];
  readonly left: number;
  readonly right: number;
}

/** The corners of boxes that lie in columns, with those of a long row in lines below each other. */
export function inLines(
  corners: ReadonlyMap<string, Point>,
  sizes: ReadonlyMap<string, Extent>,
  wires: readonly Wire[],
): ReadonlyMap<string, Point> {
  const boxOf = (name: string) =>
    boxAt(corners.get(name) ?? { x: 0, y: 0 }, sizes.get(name) ?? { width: 0, height: 0 });
  const all = around([...corners.keys()].map(boxOf));
  if (!all || all.width <= WIDEST || all.width <= FLATTEST * all.height) return corners;
  const columns = columnsOf(corners, sizes);
  const line = all.height + BETWEEN_LINES;
  const count = Math.max(2, Math.round(Math.sqrt(all.width / (WINDOW * line))));
  const found = new Map<string, Point>();
  let top = all.y;
  for (const some of broken(columns, carriedAfter(columns, wires), all.width / count)) {
    const names = some.flatMap((column) => column.names);
    const box = around(names.map(boxOf)) ?? all;
    for (const name of names) {
      const { x, y } = boxOf(name);
      found.set(name, { x: x - box.x + all.x, y: y - box.y + top });
    }
    top += box.height + BETWEEN_LINES;
  }
  return found;
}

function columnsOf(
  corners: ReadonlyMap<string, Point>,
  sizes: ReadonlyMap<string, Extent>,
): readonly Column[] {
  const columns: Column[] = [];
  for (const [name, { x }] of [...corners].sort(([, a], [, b]) => a.x - b.x)) {
    const right = x + (sizes.get(name)?.width ?? 0);
    const last = columns.at(-1);
    if (last === undefined || x >= last.right) columns.push({ names: [name], left: x, right });
    else {
      const names = [...last.names, name];
      columns.splice(-1, 1, { ...last, names, right: Math.max(last.right, right) });
    }
  }
  return columns;
}

/** From how many nodes links lead past the end of each column. */
function carriedAfter(columns: readonly Column[], wires: readonly Wire[]): readonly number[] {
  const place = new Map(columns.flatMap(({ names }, at) => names.map((name) => [name, at])));
  const carried = columns.map(() => new Set<string>());
  for (const { from, to } of wires) {
    const [a, b] = [place.get(from) ?? 0, place.get(to) ?? 0];
    for (let at = Math.min(a, b); at < Math.max(a, b); at += 1) carried[at]?.add(from);
  }
  return carried.map((names) => names.size);
}

function broken(
  columns: readonly Column[],
  carried: readonly number[],
  length: number,
): readonly (readonly Column[])[] {
  const end = columns.at(-1)?.right ?? 0;
  const lines: (readonly Column[])[] = [];
  for (let from = 0; from < columns.length; ) {
    const left = columns[from]?.left ?? 0;
    const ends = columns.flatMap(({ right }, at) => {
      const filled = (right - left) / length;
      const isEnd = at >= from && filled >= SHORTEST && (carried[at] ?? 0) <= MOST_CARRIED;
      return isEnd ? [{ at, filled, carried: carried[at] ?? 0 }] : [];
    });
    const good = ends.filter(({ filled }) => filled <= LONGEST);
    const [best] = good.sort(
      (a, b) => a.carried - b.carried || Math.abs(a.filled - 1) - Math.abs(b.filled - 1),
    );
    const isLast = end - left <= LONGEST * length;
    const to = isLast ? columns.length : ((best ?? ends[0])?.at ?? columns.length) + 1;
    lines.push(columns.slice(from, to));
    from = to;
  }
  return lines;
}
