/** Ways around cards for links that would run behind them. */

import type { CardModel } from "@/components/canvas/card/card";
import { portY } from "@/components/canvas/card/geometry";
import { polyline } from "@/components/canvas/links/path";
import { type Edge, edgesOf } from "@/model/graph";
import { type Box, changeLayout, layoutOf, type Point, type RoutePoint } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import type { LinkStyle } from "@/store/settings";
import { BoxIndex, type Span } from "./boxIndex";
import { APART, around, CLEAR, isBehind, isInside } from "./clearance";
import { wayThrough } from "./wayThrough";

/** Of the levels that a link may take, so many are tried, the nearest first. */
const LEVELS = 14;
/** Between links that go the same way, in pixels of the canvas; and how many pass all the cards. */
const LANE = 9;
const LANES = 16;
/** How far above and below its ends a way is looked for, in pixels of the canvas. */
const FARTHEST = 8000;
/** Within this of its ends, the cards beside a link are found once. */
const NEAR = 1000;
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
  return finished(routing(workflow, scope, standing, style));
}

/** The same link by link, for those that have more to do meanwhile. */
export function* routing(
  workflow: Workflow,
  scope: Scope,
  standing: ReadonlyMap<string, Standing>,
  style: LinkStyle,
): Generator<void, Workflow> {
  const known = layoutOf(workflow, scope).reroutes;
  const edges = edgesOf(nodesOf(workflow, scope)).filter(({ id }) => !known.has(id));
  const ends = (edge: Edge) => endsAt(edge, standing);
  const found = yield* ways(edges, boxesOf(standing), ends, style, new Set());
  // Where none needs points yet, this tells that they are led by themselves.
  const none = edges.map(({ id }) => [id, [] as readonly RoutePoint[]] as const);
  return withPoints(workflow, scope, found.size > 0 || known.size > 0 ? found : new Map(none));
}

function finished<T>(work: Iterator<void, T>): T {
  let step = work.next();
  while (!step.done) step = work.next();
  return step.value;
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
  return finished(ways(edges, boxes, endsOf, style, taken));
}

function* ways(
  edges: readonly Edge[],
  boxes: ReadonlyMap<string, Box>,
  endsOf: (edge: Edge) => Ends | null,
  style: LinkStyle,
  taken: Set<number>,
): Generator<void, ReadonlyMap<string, readonly RoutePoint[]>> {
  const found = new Map<string, readonly RoutePoint[]>();
  const index = new BoxIndex(boxes);
  for (const edge of edges) {
    yield;
    const ends = endsOf(edge);
    if (ends === null) continue;
    const othersIn: Others = (span) => {
      const found: Box[] = [];
      for (const name of index.near(span)) {
        const box = name === edge.from.node || name === edge.to.node ? null : boxes.get(name);
        if (box) found.push(box);
      }
      return found;
    };
    const region = around([ends.from, ends.to], NEAR);
    const near = othersIn(region);
    const isClear = (from: Point, to: Point) => {
      const line = polyline(style, [from, to]);
      const span = around(line, APART);
      return !isBehind(line, isInside(span, region) ? near : othersIn(span));
    };
    if (ends.to.x > ends.from.x && isClear(ends.from, ends.to)) continue;
    const own = { source: boxes.get(edge.from.node), target: boxes.get(edge.to.node) };
    const points =
      wayBack(ends, own, othersIn, taken, style) ??
      wayAround(ends, othersIn, taken, isClear) ??
      wayOutside(ends, own, othersIn, taken, style) ??
      wayThrough(ends, own, othersIn, style);
    if (points === null) continue;
    found.set(
      edge.id,
      points.map((point) => ({ ...point, auto: true })),
    );
    for (const { y } of points) taken.add(y);
  }
  return found;
}

/** The cards near by, without those that a link begins and ends at. */
type Others = (span: Span) => readonly Box[];

/**
 * Points of the way with the least detour: level above or below cards in between, turned to from
 * the output and left for the input where nothing is in the way; null if there is none.
 */
function wayAround(
  { from, to }: Ends,
  othersIn: Others,
  taken: ReadonlySet<number>,
  isClear: (from: Point, to: Point) => boolean,
): readonly Point[] | null {
  if (to.x <= from.x) return null;
  const { top, bottom } = around([from, to], FARTHEST);
  const near = othersIn({ left: from.x, right: to.x, top, bottom });
  const between = near.filter(({ x, width }) => x < to.x && x + width > from.x);
  const turns = turnsBetween(between, from, to);
  for (const y of apart(levelsAround(between, from, to), taken)) {
    const isFree = freeAt(y, between);
    const first = turns.slice(0, TURNS).filter((x) => isFree(x, x));
    const last = turns.slice(-TURNS).filter((x) => isFree(x, x));
    // Told by numbers alone, where most levels are no way; curves take long.
    if (!first.some((a) => last.some((b) => b >= a && isFree(a, b)))) continue;
    const starts = first.map((x) => ({ x, y })).filter((point) => isClear(from, point));
    if (starts.length === 0) continue;
    const ends = last.map((x) => ({ x, y })).filter((point) => isClear(point, to));
    const both = starts.find(({ x }) => ends.some((end) => end.x === x));
    if (both) return [both];
    for (const start of starts)
      for (const end of ends.toReversed())
        if (end.x > start.x && isFree(start.x, end.x)) return [start, end];
  }
  return null;
}

/** Whether a level piece between two places is behind none of some cards. */
function freeAt(y: number, boxes: readonly Box[]): (from: number, to: number) => boolean {
  const there = boxes.filter((box) => y > box.y - APART && y < box.y + box.height + APART);
  return (from, to) => !there.some(({ x, width }) => x - APART < to && x + width + APART > from);
}

/**
 * Points of the way to a card that lies further left, and below or above: level between the two,
 * where no card is, as a line of text goes on at the left; null if there is no such way.
 */
function wayBack(
  { from, to }: Ends,
  { source, target }: { readonly source: Box | undefined; readonly target: Box | undefined },
  othersIn: Others,
  taken: ReadonlySet<number>,
  style: LinkStyle,
): readonly Point[] | null {
  if (!source || !target || to.x > from.x) return null;
  const [upper, lower] = source.y < target.y ? [source, target] : [target, source];
  const [top, bottom] = [upper.y + upper.height + CLEAR, lower.y - CLEAR];
  if (top > bottom) return null;
  const others = othersIn({
    left: to.x - CLEAR - APART,
    right: from.x + CLEAR + APART,
    top,
    bottom,
  });
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
    const line = polyline(style, [from, ...points, to]);
    if (!isBehind(line, othersIn(around(line, APART)))) return points;
  }
  return null;
}

/**
 * Points of a way that leaves to the right, goes level above or below the cards in between and the
 * two that it joins, and comes back from the left: where there is no room between them, as from a
 * card to the one below it. Null if there is no such way.
 */
function wayOutside(
  { from, to }: Ends,
  { source, target }: { readonly source: Box | undefined; readonly target: Box | undefined },
  othersIn: Others,
  taken: ReadonlySet<number>,
  style: LinkStyle,
): readonly Point[] | null {
  if (!source || !target) return null;
  const { top, bottom } = around([from, to], FARTHEST);
  const [right, left] = [from.x + CLEAR, to.x - CLEAR];
  const near = othersIn({
    left: Math.min(left, right) - NEAR,
    right: Math.max(left, right) + NEAR,
    top,
    bottom,
  });
  const [starts, ends] = [turnsFrom(right, 1, near), turnsFrom(left, -1, near)];
  const [noStart, noEnd] = [
    [...near, target],
    [...near, source],
  ];
  const all = [...near, source, target];
  for (const y of apart(levelsAround(all, from, to), taken)) {
    const first = starts
      .flatMap((x) => legs(from, x, y, style))
      .filter((leg) => !isBehind(polyline(style, [from, ...leg]), noStart));
    if (first.length === 0) continue;
    const last = ends
      .flatMap((x) => legs(to, x, y, style))
      .map((leg) => leg.toReversed())
      .filter((leg) => !isBehind(polyline(style, [...leg, to]), noEnd));
    for (const leg of first)
      for (const other of last) {
        const level = [leg.at(-1) ?? from, other[0] ?? to];
        const points = [...leg, ...other];
        if (isBehind(level, all)) continue;
        if (!isBehind(polyline(style, [from, ...points, to]), near)) return points;
      }
  }
  return null;
}

/** Points from a port to a level, down or up beside it or past other cards. */
function legs(port: Point, x: number, y: number, style: LinkStyle): readonly (readonly Point[])[] {
  // A step turns in the middle between its ends.
  if (style === "step") return [[{ x: 2 * x - port.x, y }]];
  return [
    [{ x, y }],
    [
      { x, y: port.y },
      { x, y },
    ],
  ];
}

/** Where a link may turn that leaves a card at one side: there, or past the next cards. */
function turnsFrom(x: number, way: 1 | -1, boxes: readonly Box[]): readonly number[] {
  const past = boxes
    .map((box) => Math.round(way > 0 ? box.x + box.width + CLEAR : box.x - CLEAR))
    .filter((other) => (other - x) * way > 0 && Math.abs(other - x) < NEAR)
    .sort((a, b) => (a - b) * way);
  return [x, ...new Set(past)].slice(0, TURNS);
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
