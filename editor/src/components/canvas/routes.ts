/** Ways around cards for links that would run behind them. */
import { type Edge, edgesOf } from "@/model/graph";
import { type Box, changeLayout, layoutOf, type Point, type RoutePoint } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import type { LinkStyle } from "@/store/settings";
import type { CardModel } from "./card";
import { portY } from "./geometry";
import { polyline } from "./path";

/** Between a way and the cards that it passes, in pixels of the canvas. */
const CLEAR = 18;
/** How far from a card a link must stay, so that it doesn't look as if it ran behind it. */
const APART = 6;
/** Of the levels that a link may take, so many are tried, the nearest first. */
const LEVELS = 14;
/** Between links that go the same way, in pixels of the canvas; and how many pass all the cards. */
const LANE = 9;
const LANES = 16;
/** Of the places where it may turn, so many next to each of its ends. */
const TURNS = 6;

/** A card where it stands. */
export interface Standing {
  readonly card: CardModel;
  readonly box: Box;
  readonly collapsed: boolean;
}

/** The workflow with points for links that would run behind cards; those that have some keep them. */
export function withRoutes(
  workflow: Workflow,
  scope: Scope,
  standing: ReadonlyMap<string, Standing>,
  style: LinkStyle,
): Workflow {
  const known = layoutOf(workflow, scope).reroutes;
  const edges = edgesOf(nodesOf(workflow, scope)).filter(({ id }) => !known.has(id));
  const found = routesAround(edges, boxesOf(standing), (edge) => endsAt(edge, standing), style);
  // Where none needs points yet, this tells that they are led by themselves.
  const none = edges.map(({ id }) => [id, [] as readonly RoutePoint[]] as const);
  return withPoints(workflow, scope, found.size > 0 || known.size > 0 ? found : new Map(none));
}

/**
 * The workflow after some cards have moved: in a graph whose links are led around cards, they are
 * led anew where they begin or end at one of these or would run behind it. Points that somebody
 * put stay.
 */
export function withRoutesAnew(
  workflow: Workflow,
  scope: Scope,
  standing: ReadonlyMap<string, Standing>,
  style: LinkStyle,
  moved: ReadonlySet<string>,
): Workflow {
  const known = layoutOf(workflow, scope).reroutes;
  const isLed = [...known.values()].some((points) => points.every(({ auto }) => auto));
  if (!isLed || moved.size === 0) return workflow;
  const places = [...moved].flatMap((name) => standing.get(name)?.box ?? []);
  const edges = edgesOf(nodesOf(workflow, scope)).filter((edge) => {
    const points = known.get(edge.id) ?? [];
    if (!points.every(({ auto }) => auto)) return false;
    if (moved.has(edge.from.node) || moved.has(edge.to.node)) return true;
    const ends = endsAt(edge, standing);
    return ends !== null && isBehind(polyline(style, [ends.from, ...points, ends.to]), places);
  });
  const found = routesAround(edges, boxesOf(standing), (edge) => endsAt(edge, standing), style);
  // One that needs no points any more is led again as soon as it does.
  const straight = edges.flatMap(({ id }) => (known.has(id) ? [[id, []] as const] : []));
  return withPoints(workflow, scope, new Map([...straight, ...found]));
}

function withPoints(
  workflow: Workflow,
  scope: Scope,
  found: ReadonlyMap<string, readonly RoutePoint[]>,
): Workflow {
  if (found.size === 0) return workflow;
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    reroutes: new Map([...layout.reroutes, ...found]),
  }));
}

function boxesOf(standing: ReadonlyMap<string, Standing>): ReadonlyMap<string, Box> {
  return new Map([...standing].map(([name, { box }]) => [name, box]));
}

function endsAt({ from, to }: Edge, standing: ReadonlyMap<string, Standing>): Ends | null {
  const [source, target] = [standing.get(from.node), standing.get(to.node)];
  if (!source || !target) return null;
  const { outputs } = source.card;
  const output = from.port === "" ? 0 : outputs.findIndex(({ name }) => name === from.port);
  const input = target.card.inputs.findIndex(({ name }) => name === to.port);
  if (output < 0 || input < 0) return null;
  return {
    from: { x: source.box.x + source.box.width, y: source.box.y + portY(output, source.collapsed) },
    to: { x: target.box.x, y: target.box.y + portY(input, target.collapsed) },
  };
}

export interface Ends {
  readonly from: Point;
  readonly to: Point;
}

/** Points for those links that need some, by edge; others run straight on. Levels in `taken` grow. */
export function routesAround(
  edges: readonly Edge[],
  boxes: ReadonlyMap<string, Box>,
  endsOf: (edge: Edge) => Ends | null,
  style: LinkStyle,
  taken: Set<number> = new Set(),
): ReadonlyMap<string, readonly RoutePoint[]> {
  const found = new Map<string, readonly RoutePoint[]>();
  for (const edge of edges) {
    const ends = endsOf(edge);
    if (ends === null) continue;
    const others = [...boxes].flatMap(([name, box]) =>
      name === edge.from.node || name === edge.to.node ? [] : [box],
    );
    const isClear = (from: Point, to: Point) => !isBehind(polyline(style, [from, to]), others);
    if (ends.to.x > ends.from.x && isClear(ends.from, ends.to)) continue;
    const own = { source: boxes.get(edge.from.node), target: boxes.get(edge.to.node) };
    const points = wayBack(ends, own, others, taken) ?? wayAround(ends, others, taken, isClear);
    if (points === null) continue;
    found.set(
      edge.id,
      points.map((point) => ({ ...point, auto: true })),
    );
    for (const { y } of points) taken.add(y);
  }
  return found;
}

/** Whether a line runs behind one of some cards. */
export function isBehind(line: readonly Point[], boxes: readonly Box[]): boolean {
  const [xs, ys] = [line.map(({ x }) => x), line.map(({ y }) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  return boxes.some((box) => {
    if (box.x - APART > right || box.x + box.width + APART < left) return false;
    if (box.y - APART > bottom || box.y + box.height + APART < top) return false;
    return line.some((point, index) => crosses(box, point, line[index + 1] ?? point));
  });
}

/** Whether a straight piece runs through a card: it is cut off at each side in turn. */
function crosses(box: Box, from: Point, to: Point): boolean {
  const across = within(from.x, to.x, box.x - APART, box.x + box.width + APART);
  const down = within(from.y, to.y, box.y - APART, box.y + box.height + APART);
  return Math.max(across[0], down[0], 0) < Math.min(across[1], down[1], 1);
}

/** Which part of the way from one number to another, 0 to 1, lies between two limits. */
function within(from: number, to: number, low: number, high: number): readonly [number, number] {
  const way = to - from;
  if (way === 0) return from > low && from < high ? [-Infinity, Infinity] : [Infinity, -Infinity];
  const [a, b] = [(low - from) / way, (high - from) / way];
  return a < b ? [a, b] : [b, a];
}

/**
 * Points of the way with the least detour: level above or below cards in between, turned to from
 * the output and left for the input where nothing is in the way; null if there is none.
 */
function wayAround(
  { from, to }: Ends,
  boxes: readonly Box[],
  taken: ReadonlySet<number>,
  isClear: (from: Point, to: Point) => boolean,
): readonly Point[] | null {
  const between = boxes.filter(({ x, width }) => x < to.x && x + width > from.x);
  const turns = turnsBetween(between, from, to);
  for (const y of apart(levelsAround(between, from, to), taken)) {
    const at = turns.map((x) => ({ x, y }));
    const starts = at.slice(0, TURNS).filter((point) => isClear(from, point));
    if (starts.length === 0) continue;
    const ends = at.slice(-TURNS).filter((point) => isClear(point, to));
    const both = starts.find((point) => ends.includes(point));
    if (both) return [both];
    for (const start of starts)
      for (const end of ends.toReversed())
        if (end.x > start.x && isClear(start, end)) return [start, end];
  }
  return null;
}

/**
 * Points of the way to a card that lies further left, and below or above: level between the two,
 * where no card is, as a line of text goes on at the left; null if there is no such way.
 */
function wayBack(
  { from, to }: Ends,
  { source, target }: { readonly source: Box | undefined; readonly target: Box | undefined },
  others: readonly Box[],
  taken: ReadonlySet<number>,
): readonly Point[] | null {
  if (!source || !target || to.x > from.x) return null;
  const [upper, lower] = source.y < target.y ? [source, target] : [target, source];
  const [top, bottom] = [upper.y + upper.height + CLEAR, lower.y - CLEAR];
  const edges = others.flatMap(({ y, height }) => [y - CLEAR, y + height + CLEAR]);
  const levels = [bottom, top, ...edges]
    .map(Math.round)
    .filter((y) => y >= top && y <= bottom)
    .sort((a, b) => Math.abs(a - to.y) - Math.abs(b - to.y));
  for (const y of apart(levels, taken)) {
    const points = [
      { x: from.x + CLEAR, y },
      { x: to.x - CLEAR, y },
    ];
    if (!isBehind([from, ...points, to], others)) return points;
  }
  return null;
}

/** Where a link may turn: beside the cards in between, from left to right. */
function turnsBetween(between: readonly Box[], from: Point, to: Point): readonly number[] {
  const sides = between.flatMap(({ x, width }) => [x - CLEAR, x + width + CLEAR]);
  const inside = sides.filter((x) => x > from.x && x < to.x).map(Math.round);
  return [...new Set(inside)].sort((a, b) => a - b);
}

/** Heights above and below the cards in between, the nearest first; at last, around them all. */
function levelsAround(between: readonly Box[], from: Point, to: Point): readonly number[] {
  const edges = between.flatMap(({ y, height }) => [y - CLEAR, y + height + CLEAR]);
  const detour = (y: number) => Math.abs(y - from.y) + Math.abs(y - to.y);
  const nearest = [...new Set(edges.map(Math.round))].sort((a, b) => detour(a) - detour(b));
  const [top, bottom] = [nearest.reduce(least, Infinity), nearest.reduce(most, -Infinity)];
  const outside = Array.from({ length: LANES }, (_, lane) => lane * LANE);
  const last = outside
    .flatMap((far) => [top - far, bottom + far])
    .sort((a, b) => detour(a) - detour(b));
  return [...new Set([...nearest.slice(0, LEVELS), ...last])];
}

const least = (a: number, b: number) => Math.min(a, b);
const most = (a: number, b: number) => Math.max(a, b);

/** The levels, or ones near by, that no other link has taken; at last the others. */
function apart(levels: readonly number[], taken: ReadonlySet<number>): readonly number[] {
  const isFree = (level: number) => !isTaken(level, taken, LANE);
  const free = levels.flatMap((y) => [y, y - LANE, y + LANE].find(isFree) ?? []);
  return [...free, ...levels.filter((y) => !isFree(y))];
}

function isTaken(y: number, taken: ReadonlySet<number>, step: number): boolean {
  for (let other = y - step + 1; other < y + step; other += 1) if (taken.has(other)) return true;
  return false;
}
