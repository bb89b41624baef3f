/** Where links run on the canvas, known without what is drawn; and which of them is at a place. */

import type { CanvasEdge, CanvasNode } from "@/components/canvas/adapt";
import { canvas } from "@/components/canvas/controller";
import { polyline } from "@/components/canvas/links/path";
import type { Box, Point } from "@/model/layout";
import { type LinkStyle, useSettings } from "@/store/settings";

export type Places = ReadonlyMap<string, CanvasNode>;

export function placesOf(nodes: readonly CanvasNode[]): Places {
  return new Map(nodes.map((node) => [node.id, node]));
}

/** From the output through the points to the input; null if one of the ports isn't there. */
export function pointsOf(places: Places, edge: CanvasEdge): readonly Point[] | null {
  const from = portPlace(places.get(edge.source), "source", edge.sourceHandle);
  const to = portPlace(places.get(edge.target), "target", edge.targetHandle);
  return from && to ? [from, ...(edge.data?.points ?? []), to] : null;
}

function portPlace(
  node: CanvasNode | undefined,
  type: "source" | "target",
  port: string | null | undefined,
): Point | null {
  const handle = node?.handles?.find((each) => each.type === type && each.id === port);
  if (!node || !handle) return null;
  const { width = 0, height = 0 } = handle;
  return {
    x: node.position.x + handle.x + (type === "source" ? width : 0),
    y: node.position.y + handle.y + height / 2,
  };
}

/** A link as the straight pieces of its line. */
export interface DrawnLine {
  readonly id: string;
  readonly line: readonly Point[];
}

/** The lines of links, to be asked often while nothing moves. */
export function linesOf(
  edges: readonly CanvasEdge[],
  places: Places,
  style: LinkStyle,
): readonly DrawnLine[] {
  return edges.flatMap((edge) => {
    const points = pointsOf(places, edge);
    return points ? [{ id: edge.id, line: polyline(style, points) }] : [];
  });
}

/** Ids of the links that cross a straight line. */
export function linesAcross(
  lines: readonly DrawnLine[],
  from: Point,
  to: Point,
): readonly string[] {
  const isCrossed = ({ line }: DrawnLine) =>
    line.some((point, index) => index > 0 && meet(line[index - 1] ?? point, point, from, to));
  return lines.filter(isCrossed).map(({ id }) => id);
}

/** Whether two straight lines meet: each has its ends on both sides of the other. */
function meet(a: Point, b: Point, c: Point, d: Point): boolean {
  return isLeft(a, b, c) !== isLeft(a, b, d) && isLeft(c, d, a) !== isLeft(c, d, b);
}

/** Whether a point is left of the line from one point through another. */
function isLeft(a: Point, b: Point, { x, y }: Point): boolean {
  return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) > 0;
}

/** The links that run within a distance of a point, the nearest first. */
export function linksWithin(
  edges: readonly CanvasEdge[],
  places: Places,
  style: LinkStyle,
  at: Point,
  within: number,
): readonly CanvasEdge[] {
  return nearestOf(edges, places, style, at, (_, far) => far <= within);
}

/** The links that any part of a box lies on, those nearest to its middle first. */
export function linksUnder(
  edges: readonly CanvasEdge[],
  places: Places,
  style: LinkStyle,
  box: Box,
): readonly CanvasEdge[] {
  return nearestOf(edges, places, style, middleOf(box), (line) => isUnder(line, box));
}

export function middleOf({ x, y, width, height }: Box): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

function nearestOf(
  edges: readonly CanvasEdge[],
  places: Places,
  style: LinkStyle,
  at: Point,
  isMeant: (line: readonly Point[], far: number) => boolean,
): readonly CanvasEdge[] {
  return edges
    .flatMap((edge) => {
      const points = pointsOf(places, edge);
      if (points === null) return [];
      const line = polyline(style, points);
      const far = distance(at, line);
      return isMeant(line, far) ? [{ edge, far }] : [];
    })
    .toSorted((a, b) => a.far - b.far)
    .map(({ edge }) => edge);
}

function isUnder(line: readonly Point[], { x, y, width, height }: Box): boolean {
  const [right, bottom] = [x + width, y + height];
  const isIn = (at: Point) => at.x >= x && at.x <= right && at.y >= y && at.y <= bottom;
  // A straight line that goes through a box crosses one of these.
  const across = [
    [
      { x, y },
      { x: right, y: bottom },
    ],
    [
      { x, y: bottom },
      { x: right, y },
    ],
  ] as const;
  return line.some((point, index) => {
    const last = line[index - 1];
    return isIn(point) || (last !== undefined && across.some(([a, b]) => meet(last, point, a, b)));
  });
}

/** The same as `linksWithin` of what is drawn now. */
export function linksNear(at: Point, within: number): readonly CanvasEdge[] {
  return ofDrawn((edges, places, style) => linksWithin(edges, places, style, at, within));
}

/** The same as `linksUnder` of what is drawn now. */
export function linksBehind(box: Box): readonly CanvasEdge[] {
  return ofDrawn((edges, places, style) => linksUnder(edges, places, style, box));
}

function ofDrawn(
  find: (edges: readonly CanvasEdge[], places: Places, style: LinkStyle) => readonly CanvasEdge[],
): readonly CanvasEdge[] {
  const handle = canvas();
  if (!handle) return [];
  return find(handle.edges(), placesOf(handle.nodes()), useSettings.getState().linkStyle);
}

/** From a point to the nearest one of a line. */
function distance(at: Point, line: readonly Point[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let index = 1; index < line.length; index += 1) {
    const [a, b] = [line[index - 1], line[index]];
    if (a && b) least = Math.min(least, toSegment(at, a, b));
  }
  return least;
}

function toSegment(at: Point, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const square = dx * dx + dy * dy;
  const along = square === 0 ? 0 : ((at.x - a.x) * dx + (at.y - a.y) * dy) / square;
  const part = Math.min(1, Math.max(0, along));
  return Math.hypot(at.x - a.x - dx * part, at.y - a.y - dy * part);
}
