/**
 * Ways around cards for links that would run behind one and have no points in the file: those of a
 * graph that somebody placed, and those of a block's own inputs and outputs.
 *
 * They are found for what is drawn and written nowhere, so that a graph that is only looked at stays
 * as it is; and anew only where something has changed, as a graph has hundreds of them.
 */

import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { polyline } from "@/components/canvas/links/path";
import type { Box, Point, Size } from "@/model/layout";
import type { LinkStyle } from "@/store/settings";
import { isBehind } from "./clearance";
import { type Places, placesOf, pointsOf } from "./linkPlaces";
import { type Ends, routesAround } from "./routes";

/** In larger graphs, which are seen from afar, links run straight on. */
const MOST_CARDS = 400;

interface Way {
  readonly ends: Ends;
  readonly points: readonly Point[];
  /** Whether anything was in its way. */
  readonly isLed: boolean;
}

/** Remembers the ways, so that most are found once. */
export class Ways {
  private style: LinkStyle | null = null;
  private boxes: ReadonlyMap<string, Box> = new Map();
  private ways: ReadonlyMap<string, Way> = new Map();
  private drawn = new WeakMap<CanvasEdge, { points: readonly Point[]; edge: CanvasEdge }>();

  /** The edges, with points for those that would run behind a card. */
  lead(
    edges: readonly CanvasEdge[],
    nodes: readonly CanvasNode[],
    measured: ReadonlyMap<string, Required<Size>>,
    style: LinkStyle,
  ): readonly CanvasEdge[] {
    const boxes = boxesOf(nodes, measured);
    const loose =
      boxes.size > MOST_CARDS
        ? edges.filter(({ data }) => data?.end)
        : edges.filter(({ data }) => data?.points.length === 0);
    this.ways = this.found(loose, boxes, placesOf(nodes), style);
    [this.boxes, this.style] = [boxes, style];
    return edges.map((edge) => this.through(edge, this.ways.get(edge.id)?.points ?? []));
  }

  private found(
    edges: readonly CanvasEdge[],
    boxes: ReadonlyMap<string, Box>,
    places: Places,
    style: LinkStyle,
  ): ReadonlyMap<string, Way> {
    const changed = style === this.style ? changedBoxes(this.boxes, boxes) : null;
    const ends = new Map<string, Ends>();
    const kept = new Map<string, Way>();
    for (const edge of edges) {
      const [from, to] = pointsOf(places, edge) ?? [];
      if (!from || !to) continue;
      ends.set(edge.id, { from, to });
      const known = this.ways.get(edge.id);
      if (known && changed && stays(known, { from, to }, changed, style)) kept.set(edge.id, known);
    }
    const asked = edges
      .filter(({ id }) => ends.has(id) && !kept.has(id))
      .map(({ id, source, target, sourceHandle, targetHandle }) => ({
        id,
        from: { node: source, port: sourceHandle ?? "" },
        to: { node: target, port: targetHandle ?? "" },
      }));
    const taken = new Set([...kept.values()].flatMap(({ points }) => points.map(({ y }) => y)));
    const led = routesAround(asked, boxes, ({ id }) => ends.get(id) ?? null, style, taken);
    const fresh = [...ends].filter(([id]) => !kept.has(id));
    return new Map([
      ...kept,
      ...fresh.map(([id, own]) => {
        const points = led.get(id);
        return [id, { ends: own, points: points ?? [], isLed: points !== undefined }] as const;
      }),
    ]);
  }

  /** The same object as before for the same points, so that it isn't drawn anew. */
  private through(edge: CanvasEdge, points: readonly Point[]): CanvasEdge {
    if (points.length === 0 || !edge.data) return edge;
    const known = this.drawn.get(edge);
    if (known?.points === points) return known.edge;
    const made = { ...edge, data: { ...edge.data, points } };
    this.drawn.set(edge, { points, edge: made });
    return made;
  }
}

/** Whether a way is still good after some cards have changed: where they were and where they are. */
function stays(
  { ends, points, isLed }: Way,
  now: Ends,
  changed: readonly Box[],
  style: LinkStyle,
): boolean {
  if (!same(ends.from, now.from) || !same(ends.to, now.to)) return false;
  if (changed.length === 0) return true;
  // A way may leave the room between its ends, where these stand below each other.
  const across = [now.from, ...points, now.to].map(({ x }) => x);
  const [left, right] = [Math.min(...across), Math.max(...across)];
  if (isLed) return !changed.some(({ x, width }) => x < right && x + width > left);
  return !isBehind(polyline(style, [now.from, now.to]), changed);
}

function same(a: Point, b: Point): boolean {
  return a.x === b.x && a.y === b.y;
}

function changedBoxes(
  before: ReadonlyMap<string, Box>,
  now: ReadonlyMap<string, Box>,
): readonly Box[] {
  const found: Box[] = [];
  for (const id of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(id), now.get(id)];
    if (was && is && sameBox(was, is)) continue;
    found.push(...[was, is].filter((box) => box !== undefined));
  }
  return found;
}

function sameBox(a: Box, b: Box): boolean {
  return same(a, b) && a.width === b.width && a.height === b.height;
}

function boxesOf(
  nodes: readonly CanvasNode[],
  measured: ReadonlyMap<string, Required<Size>>,
): ReadonlyMap<string, Box> {
  return new Map(
    nodes.flatMap((node) => {
      if (node.type !== "card") return [];
      const height = measured.get(node.id)?.height ?? node.initialHeight ?? 0;
      return [[node.id, { ...node.position, width: node.width ?? 0, height }] as const];
    }),
  );
}
