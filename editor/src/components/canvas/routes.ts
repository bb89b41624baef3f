/** Ways around cards for links that would run behind them. */
import { type Edge, edgesOf } from "@/model/graph";
import { type Box, changeLayout, layoutOf, type Point } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { Workflow } from "@/model/workflow";
import type { LinkStyle } from "@/store/settings";
import type { CardModel } from "./card";
import { portY } from "./geometry";
import { polyline } from "./path";

/** Between a way and the cards that it passes, in pixels of the canvas. */
const CLEAR = 18;
/** How near a link may come to a card without being behind it. */
const TOUCH = 3;
/** Ways are tried nearest first, and no more than so many in each direction. */
const MOST = 14;

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
  const boxes = new Map([...standing].map(([name, { box }]) => [name, box]));
  const known = layoutOf(workflow, scope).reroutes;
  const edges = edgesOf(nodesOf(workflow, scope)).filter(({ id }) => !known.has(id));
  const found = routesAround(edges, boxes, (edge) => endsAt(edge, standing), style);
  if (found.size === 0) return workflow;
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    reroutes: new Map([...layout.reroutes, ...found]),
  }));
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

/** Points for those links that need some, by edge; others run straight on. */
export function routesAround(
  edges: readonly Edge[],
  boxes: ReadonlyMap<string, Box>,
  endsOf: (edge: Edge) => Ends | null,
  style: LinkStyle,
): ReadonlyMap<string, readonly Point[]> {
  const found = new Map<string, readonly Point[]>();
  const taken: number[] = [];
  for (const edge of edges) {
    const ends = endsOf(edge);
    if (ends === null) continue;
    const others = [...boxes].flatMap(([name, box]) =>
      name === edge.from.node || name === edge.to.node ? [] : [box],
    );
    const isClear = (points: readonly Point[]) =>
      !isBehind(polyline(style, [ends.from, ...points, ends.to]), others);
    if (isClear([])) continue;
    const points = ways(ends, others, taken).find(isClear);
    if (points === undefined) continue;
    found.set(edge.id, points);
    taken.push(...points.map(({ y }) => y));
  }
  return found;
}

/** Whether a line runs behind one of some cards. */
export function isBehind(line: readonly Point[], boxes: readonly Box[]): boolean {
  return boxes.some((box) =>
    line.some((point, index) => {
      const next = line[index + 1] ?? point;
      // Pieces of a curve are short: their ends and middles tell enough.
      const middle = { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
      return contains(box, point) || contains(box, middle);
    }),
  );
}

function contains(box: Box, { x, y }: Point): boolean {
  const isAcross = x > box.x + TOUCH && x < box.x + box.width - TOUCH;
  return isAcross && y > box.y + TOUCH && y < box.y + box.height - TOUCH;
}

/** Points to go through, the shortest way first: level above or below the cards in between. */
function ways(
  { from, to }: Ends,
  boxes: readonly Box[],
  taken: readonly number[],
): readonly (readonly Point[])[] {
  const between = boxes.filter(({ x, width }) => x < to.x && x + width > from.x);
  const levels = between
    .flatMap(({ y, height }) => [y - CLEAR, y + height + CLEAR])
    .map((y) => besides(y, taken))
    .sort((a, b) => detour(a, from, to) - detour(b, from, to))
    .slice(0, MOST);
  const left = between.map(({ x }) => x - CLEAR).filter((x) => x > from.x);
  const right = between.map(({ x, width }) => x + width + CLEAR).filter((x) => x < to.x);
  const starts = [...new Set([...left, ...right])].sort((a, b) => a - b);
  return levels.flatMap((y) => [
    ...starts.map((x) => [{ x: Math.round(x), y: Math.round(y) }]),
    ...starts.flatMap((first, index) =>
      starts
        .slice(index + 1)
        .reverse()
        .map((last) => [
          { x: Math.round(first), y: Math.round(y) },
          { x: Math.round(last), y: Math.round(y) },
        ]),
    ),
  ]);
}

/** A level that no other link has taken, near a wanted one. */
function besides(y: number, taken: readonly number[]): number {
  const step = CLEAR / 2;
  for (const shift of [0, -step, step]) {
    if (taken.every((other) => Math.abs(other - y - shift) >= step)) return y + shift;
  }
  return y;
}

function detour(y: number, from: Point, to: Point): number {
  return Math.abs(y - from.y) + Math.abs(y - to.y);
}
