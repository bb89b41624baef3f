/**
 * Places for nodes that the file gives none: columns by depth, in the order of what feeds them.
 *
 * Parts of a graph that no link joins stand by themselves, in rows. What would be far higher or wider
 * than a window is folded: a column into several, a long row of columns into lines.
 */

import { boundsOf } from "@/components/canvas/card/geometry";
import { autoLayout } from "@/model/arrange";
import { type Edge, edgesOf } from "@/model/graph";
import {
  type Box,
  changeLayout,
  type Layout,
  layoutOf,
  type Point,
  type Size,
} from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Nodes, Workflow } from "@/model/workflow";

const COLUMN_GAP = 88;
const ROW_GAP = 32;
const SWEEPS = 3;
/** Larger graphs are laid out at once instead of well: the person waits for them. */
const MOST_ARRANGED = 120;

type SizeOf = (name: string) => Required<Size>;

/** The names of a graph's nodes that have no place. */
export function unplaced(nodes: Nodes, layout: Layout): readonly string[] {
  return [...nodes.keys()].filter((name) => !layout.positions.has(name));
}

/** The workflow with a place for each node of one graph; the same one if all have theirs. */
export function placeAll(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  sizeOf: SizeOf,
): Workflow {
  const nodes = nodesOf(workflow, scope);
  const layout = layoutOf(workflow, scope);
  const names = unplaced(nodes, layout);
  if (names.length === 0) return workflow;
  const isNew = names.length === nodes.size && names.length <= MOST_ARRANGED;
  const places = isNew
    ? autoLayout(workflow, scope, types, new Map(names.map((name) => [name, sizeOf(name)])))
    : placesFor(names, nodes, layout, sizeOf);
  return changeLayout(workflow, scope, (before) => ({
    ...before,
    positions: new Map([...before.positions, ...places]),
  }));
}

function placesFor(
  names: readonly string[],
  nodes: Nodes,
  layout: Layout,
  sizeOf: SizeOf,
): ReadonlyMap<string, Point> {
  const boxes = new Map(
    [...nodes.keys()].flatMap((name) => {
      const at = layout.positions.get(name);
      return at ? [[name, { ...at, ...sizeOf(name) }] as const] : [];
    }),
  );
  const placed = boundsOf(boxes.values());
  if (placed === null) return foldedPlaces(names, nodes, sizeOf);
  const wanted = new Set(names);
  const feeding = edgesOf(nodes).flatMap(({ from, to }) =>
    wanted.has(to.node) ? (boxes.get(from.node) ?? []) : [],
  );
  const feeders = boundsOf(feeding);
  // Below all others, and right of what they take from.
  const x = feeders === null ? placed.x : feeders.x + feeders.width + COLUMN_GAP;
  const y = placed.y + placed.height + COLUMN_GAP;
  const links = edgesOf(nodes).filter(
    ({ from, to }) => wanted.has(from.node) && wanted.has(to.node),
  );
  return columnPlaces(columnsOf(names, links), sizeOf, { x, y });
}

/** Nodes by their distance from what feeds them, each column in the order of its neighbours. */
function columnsOf(
  names: readonly string[],
  links: readonly Edge[],
): readonly (readonly string[])[] {
  const depths = depthsOf(
    names,
    links.map(({ from, to }) => [from.node, to.node]),
  );
  const columns: string[][] = [];
  for (const name of names) {
    const depth = depths.get(name) ?? 0;
    columns[depth] = [...(columns[depth] ?? []), name];
  }
  const pairs = links.map(({ from, to }) => [from.node, to.node] as const);
  return ordered(
    columns.map((column) => column ?? []),
    pairs,
  );
}

type Pair = readonly [from: string, to: string];

/** The longest way from a node that nothing feeds; members of circles count once. */
function depthsOf(
  names: readonly string[],
  pairs: readonly (readonly string[])[],
): Map<string, number> {
  const sources = new Map<string, string[]>();
  for (const [from = "", to = ""] of pairs) sources.set(to, [...(sources.get(to) ?? []), from]);
  const depths = new Map<string, number>();
  const open = new Set<string>();
  for (const start of names) {
    const stack = [start];
    while (stack.length > 0) {
      const name = stack[stack.length - 1] ?? "";
      const waiting = (sources.get(name) ?? []).filter(
        (from) => !depths.has(from) && !open.has(from),
      );
      open.add(name);
      if (waiting.length > 0) {
        stack.push(...waiting);
        continue;
      }
      stack.pop();
      const fed = (sources.get(name) ?? []).map((from) => depths.get(from) ?? -1);
      depths.set(name, Math.max(-1, ...fed) + 1);
    }
  }
  return depths;
}

function ordered(
  columns: readonly (readonly string[])[],
  pairs: readonly Pair[],
): readonly (readonly string[])[] {
  const neighbours = new Map<string, string[]>();
  for (const [from, to] of pairs) {
    neighbours.set(from, [...(neighbours.get(from) ?? []), to]);
    neighbours.set(to, [...(neighbours.get(to) ?? []), from]);
  }
  let found = columns;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const rank = new Map(
      found.flatMap((column) => column.map((name, row) => [name, row / column.length] as const)),
    );
    const wish = (name: string): number => {
      const ranks = (neighbours.get(name) ?? []).map((other) => rank.get(other) ?? 0);
      return ranks.length === 0
        ? (rank.get(name) ?? 0)
        : ranks.reduce((sum, each) => sum + each, 0) / ranks.length;
    };
    found = found.map((column) => column.toSorted((a, b) => wish(a) - wish(b)));
  }
  return found;
}

/** How much wider than high a graph is best looked at. */
const ASPECT = 1.6;

/** Places for a whole graph, about as wide and high as a window. */
function foldedPlaces(
  names: readonly string[],
  nodes: Nodes,
  sizeOf: SizeOf,
): ReadonlyMap<string, Point> {
  const parts = partsOf(names, nodes).map((part) => {
    const places = folded(columnsOf(part.names, part.links), sizeOf);
    return boxesAt(places, sizeOf);
  });
  return shelved(parts);
}

interface Part {
  readonly names: readonly string[];
  readonly links: readonly Edge[];
}

/** Nodes that links join, directly or by others, in the order of the file. */
function partsOf(names: readonly string[], nodes: Nodes): readonly Part[] {
  const edges = edgesOf(nodes);
  const neighbours = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const { from, to } of edges) {
    neighbours.get(from.node)?.push(to.node);
    neighbours.get(to.node)?.push(from.node);
  }
  const home = new Map<string, { names: string[]; links: Edge[] }>();
  const parts: Part[] = [];
  for (const name of names) {
    if (home.has(name)) continue;
    const part = { names: [], links: [] };
    parts.push(part);
    const joined = new Set([name]);
    // A set hands out what is added while it is walked.
    for (const each of joined) {
      home.set(each, part);
      for (const other of neighbours.get(each) ?? []) joined.add(other);
    }
  }
  for (const name of names) home.get(name)?.names.push(name);
  for (const edge of edges) home.get(edge.to.node)?.links.push(edge);
  return parts;
}

/** Columns that are too high become several, and a row of them that is too wide several lines. */
function folded(
  columns: readonly (readonly string[])[],
  sizeOf: SizeOf,
): ReadonlyMap<string, Point> {
  const sizes = columns.flat().map(sizeOf);
  const area = sizes.reduce(
    (sum, { width, height }) => sum + (width + COLUMN_GAP) * (height + ROW_GAP),
    0,
  );
  const highest = Math.max(LEAST_HEIGHT, Math.sqrt(area / ASPECT));
  const widest = highest * ASPECT;
  const split = columns.flatMap((column) => splitColumn(column, sizeOf, highest));
  const lines: (readonly string[])[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const column of split) {
    const own = Math.max(0, ...column.map((name) => sizeOf(name).width)) + COLUMN_GAP;
    if (width + own > FOLDED_AT * widest) {
      lines.push([]);
      width = 0;
    }
    lines.at(-1)?.push(column);
    width += own;
  }
  const places = new Map<string, Point>();
  let y = 0;
  for (const line of lines) {
    const placed = columnPlaces(line, sizeOf, { x: 0, y });
    for (const [name, at] of placed) places.set(name, at);
    const bounds = boundsOf(boxesAt(placed, sizeOf).values());
    y += (bounds?.height ?? 0) + COLUMN_GAP;
  }
  return places;
}

/** What is lower than this, and narrower in proportion, is never folded. */
const LEAST_HEIGHT = 1500;
/** Wider or higher by so much than it should be, a graph is still better left as it flows. */
const FOLDED_AT = 2;

function splitColumn(
  column: readonly string[],
  sizeOf: SizeOf,
  highest: number,
): readonly (readonly string[])[] {
  const heights = column.map((name) => sizeOf(name).height + ROW_GAP);
  const height = heights.reduce((sum, each) => sum + each, 0);
  if (height <= FOLDED_AT * highest) return [column];
  // As many as fit, each about as high as the others.
  const most = height / Math.ceil(height / highest);
  const parts: string[][] = [[]];
  let used = 0;
  for (const [index, name] of column.entries()) {
    const own = heights[index] ?? 0;
    if (used > 0 && used + own / 2 > most) {
      parts.push([]);
      used = 0;
    }
    parts.at(-1)?.push(name);
    used += own;
  }
  return parts;
}

function boxesAt(places: ReadonlyMap<string, Point>, sizeOf: SizeOf): ReadonlyMap<string, Box> {
  return new Map([...places].map(([name, at]) => [name, { ...at, ...sizeOf(name) }]));
}

/** Parts one beside the other in rows, about as wide as a window by its height. */
function shelved(parts: readonly ReadonlyMap<string, Box>[]): ReadonlyMap<string, Point> {
  const framed = parts.map((boxes) => ({ boxes, bounds: boundsOf(boxes.values()) }));
  const area = framed.reduce(
    (sum, { bounds }) =>
      sum + ((bounds?.width ?? 0) + COLUMN_GAP) * ((bounds?.height ?? 0) + COLUMN_GAP),
    0,
  );
  const widest = Math.sqrt(area * ASPECT);
  const places = new Map<string, Point>();
  let [x, y, height] = [0, 0, 0];
  for (const { boxes, bounds } of framed) {
    if (bounds === null) continue;
    if (x > 0 && x + bounds.width > widest) [x, y, height] = [0, y + height + COLUMN_GAP, 0];
    for (const [name, box] of boxes) {
      const at = { x: box.x - bounds.x + x, y: box.y - bounds.y + y };
      places.set(name, { x: Math.round(at.x), y: Math.round(at.y) });
    }
    x += bounds.width + COLUMN_GAP;
    height = Math.max(height, bounds.height);
  }
  return places;
}

function columnPlaces(
  columns: readonly (readonly string[])[],
  sizeOf: SizeOf,
  origin: Point,
): ReadonlyMap<string, Point> {
  const places = new Map<string, Point>();
  const heights = columns.map((column) =>
    column.reduce((sum, name) => sum + sizeOf(name).height + ROW_GAP, -ROW_GAP),
  );
  const tallest = Math.max(0, ...heights);
  let x = origin.x;
  for (const [index, column] of columns.entries()) {
    let y = origin.y + Math.round((tallest - (heights[index] ?? 0)) / 2);
    for (const name of column) {
      places.set(name, { x: Math.round(x), y });
      y += Math.round(sizeOf(name).height) + ROW_GAP;
    }
    x += Math.max(0, ...column.map((name) => sizeOf(name).width)) + COLUMN_GAP;
  }
  return places;
}
