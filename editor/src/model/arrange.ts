/** Placing nodes: from left to right as the work flows, in line, at even distances. */
import { Graph, layout as place } from "@dagrejs/dagre";
import { edgesOf } from "./graph";
import {
  type Box,
  changeLayout,
  type Group,
  type Layout,
  layoutOf,
  type Point,
  type Size,
} from "./layout";
import { nodesOf, type Scope } from "./scope";
import { around, boxAt, type Extent, isWithin, sizesOf } from "./sizes";
import type { NodeTypes } from "./spec";
import type { Workflow } from "./workflow";

const BETWEEN_COLUMNS = 72;
const BETWEEN_ROWS = 32;
const GROUP_MARGIN = 24;
const GROUP_HEAD = 36;

/**
 * Places for a graph's nodes, left to right along the links; the top left corner of all stays.
 * Nodes of a group stay together. With `names` only those are placed, among themselves.
 */
export function autoLayout(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size> = new Map(),
  names?: Iterable<string>,
): Map<string, Point> {
  const layout = layoutOf(workflow, scope);
  const nodes = nodesOf(workflow, scope);
  const wanted = new Set([...(names ?? nodes.keys())].filter((name) => nodes.has(name)));
  if (wanted.size === 0) return new Map();
  const sizes = sizesOf(workflow, scope, layout, types, measured);
  const groups = groupMembers(layout, sizes, wanted);
  const edges = edgesOf(nodes)
    .map((edge) => [edge.from.node, edge.to.node] as const)
    .filter(([from, to]) => wanted.has(from) && wanted.has(to));
  const placed = placeNested([...wanted], edges, sizes, groups);
  return movedTo(placed, sizes, anchorOf(layout, wanted, sizes));
}

/** The workflow with its nodes in new places, and groups drawn around those that they held. */
export function arrange(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size> = new Map(),
  names?: Iterable<string>,
): Workflow {
  const before = layoutOf(workflow, scope);
  const moved = autoLayout(workflow, scope, types, measured, names);
  if (moved.size === 0) return workflow;
  const sizes = sizesOf(workflow, scope, before, types, measured);
  const members = groupMembers(before, sizes, new Set(moved.keys()));
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    positions: new Map([...layout.positions, ...moved]),
    groups: layout.groups.map((group) => aroundMembers(group, members.get(group.id), moved, sizes)),
    reroutes: new Map(
      [...layout.reroutes].filter(([edge]) => !moved.has(edge.slice(0, edge.indexOf(".")))),
    ),
  }));
}

function aroundMembers(
  group: Group,
  members: ReadonlySet<string> | undefined,
  places: ReadonlyMap<string, Point>,
  sizes: ReadonlyMap<string, Extent>,
): Group {
  const boxes = [...(members ?? [])].flatMap((name) => {
    const [at, size] = [places.get(name), sizes.get(name)];
    return at && size ? [boxAt(at, size)] : [];
  });
  const box = around(boxes, GROUP_MARGIN);
  if (!box) return group;
  const head = GROUP_HEAD - GROUP_MARGIN;
  return { ...group, box: { ...box, y: box.y - head, height: box.height + head } };
}

type Members = ReadonlyMap<string, ReadonlySet<string>>;

/** The nodes in each group, each in the smallest one that holds it. */
function groupMembers(
  layout: Layout,
  sizes: ReadonlyMap<string, Extent>,
  names: ReadonlySet<string>,
): Members {
  const found = new Map<string, Set<string>>();
  const bySize = [...layout.groups].sort((a, b) => areaOf(a.box) - areaOf(b.box));
  for (const name of names) {
    const [at, size] = [layout.positions.get(name), sizes.get(name)];
    const group = at && size && bySize.find((item) => isWithin(boxAt(at, size), item.box));
    if (!group) continue;
    const members = found.get(group.id);
    if (members) members.add(name);
    else found.set(group.id, new Set([name]));
  }
  return found;
}

function areaOf(box: Box): number {
  return box.width * box.height;
}

type Pair = readonly [from: string, to: string];

/** Each group by itself first, then as one large node among the others. */
function placeNested(
  names: readonly string[],
  edges: readonly Pair[],
  sizes: ReadonlyMap<string, Extent>,
  groups: Members,
): ReadonlyMap<string, Point> {
  const home = new Map<string, string>();
  for (const [id, members] of groups) for (const name of members) home.set(name, `group/${id}`);
  const inside = new Map<string, ReadonlyMap<string, Point>>();
  const outer = new Map<string, Extent>();
  for (const name of names) if (!home.has(name)) outer.set(name, sizes.get(name) ?? NO_SIZE);
  for (const [id, members] of groups) {
    const own = edges.filter(([from, to]) => members.has(from) && members.has(to));
    const places = placeFlat(
      new Map([...members].map((name) => [name, sizes.get(name) ?? NO_SIZE])),
      own,
    );
    const box = around([...places].map(([name, at]) => boxAt(at, sizes.get(name) ?? NO_SIZE)));
    inside.set(`group/${id}`, places);
    outer.set(`group/${id}`, {
      width: (box?.width ?? 0) + 2 * GROUP_MARGIN,
      height: (box?.height ?? 0) + GROUP_MARGIN + GROUP_HEAD,
    });
  }
  const lifted = edges
    .map(([from, to]) => [home.get(from) ?? from, home.get(to) ?? to] as const)
    .filter(([from, to]) => from !== to);
  const found = new Map<string, Point>();
  for (const [item, at] of placeFlat(outer, lifted)) {
    const places = inside.get(item);
    if (!places) found.set(item, at);
    for (const [name, own] of places ?? []) {
      found.set(name, { x: at.x + GROUP_MARGIN + own.x, y: at.y + GROUP_HEAD + own.y });
    }
  }
  return found;
}

const NO_SIZE: Extent = { width: 0, height: 0 };

/** Top left corners, the whole beginning at 0, 0. */
function placeFlat(
  sizes: ReadonlyMap<string, Extent>,
  edges: readonly Pair[],
): ReadonlyMap<string, Point> {
  const graph = new Graph({ multigraph: false });
  graph.setGraph({
    rankdir: "LR",
    ranksep: BETWEEN_COLUMNS,
    nodesep: BETWEEN_ROWS,
    ranker: "network-simplex", // also the fastest one with many nodes
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [name, size] of sizes) graph.setNode(name, { ...size });
  for (const [from, to] of edges) graph.setEdge(from, to, { weight: 1, minlen: 1 });
  place(graph);
  const corners = new Map<string, Point>();
  for (const [name, size] of sizes) {
    const { x, y } = graph.node(name) as Point;
    corners.set(name, { x: x - size.width / 2, y: y - size.height / 2 });
  }
  return movedTo(corners, sizes, { x: 0, y: 0 });
}

/** Where the top left corner of some nodes is now. */
function anchorOf(
  layout: Layout,
  names: ReadonlySet<string>,
  sizes: ReadonlyMap<string, Extent>,
): Point {
  const boxes = [...names].flatMap((name) => {
    const at = layout.positions.get(name);
    return at ? [boxAt(at, sizes.get(name) ?? NO_SIZE)] : [];
  });
  return around(boxes) ?? { x: 0, y: 0 };
}

function movedTo(
  places: ReadonlyMap<string, Point>,
  sizes: ReadonlyMap<string, Extent>,
  corner: Point,
): Map<string, Point> {
  const box = around([...places].map(([name, at]) => boxAt(at, sizes.get(name) ?? NO_SIZE)));
  const [dx, dy] = [corner.x - (box?.x ?? 0), corner.y - (box?.y ?? 0)];
  return new Map(
    [...places].map(([name, at]) => [name, { x: Math.round(at.x + dx), y: Math.round(at.y + dy) }]),
  );
}

// In line

export type Side = "left" | "right" | "top" | "bottom" | "center" | "middle";

/** Corners of boxes in line: "center" is the vertical middle line, "middle" the horizontal one. */
export function align(boxes: ReadonlyMap<string, Box>, side: Side): Map<string, Point> {
  const all = around(boxes.values());
  if (!all) return new Map();
  return new Map([...boxes].map(([name, box]) => [name, rounded(aligned(box, all, side))]));
}

function aligned(box: Box, all: Box, side: Side): Point {
  switch (side) {
    case "left":
      return { x: all.x, y: box.y };
    case "right":
      return { x: all.x + all.width - box.width, y: box.y };
    case "center":
      return { x: all.x + (all.width - box.width) / 2, y: box.y };
    case "top":
      return { x: box.x, y: all.y };
    case "bottom":
      return { x: box.x, y: all.y + all.height - box.height };
    case "middle":
      return { x: box.x, y: all.y + (all.height - box.height) / 2 };
  }
}

export type Direction = "horizontal" | "vertical";

/** Corners of boxes with even gaps, the first and the last staying; overlaps become gaps of 16. */
export function distribute(
  boxes: ReadonlyMap<string, Box>,
  direction: Direction,
): Map<string, Point> {
  const isFlat = direction === "horizontal";
  const start = (box: Box) => (isFlat ? box.x : box.y);
  const length = (box: Box) => (isFlat ? box.width : box.height);
  const sorted = [...boxes].sort(([, a], [, b]) => start(a) - start(b));
  const [first, last] = [sorted[0]?.[1], sorted.at(-1)?.[1]];
  if (!first || !last || sorted.length < 2) return new Map();
  const filled = sorted.reduce((sum, [, box]) => sum + length(box), 0);
  const room = start(last) + length(last) - start(first) - filled;
  const gap = Math.max(16, room / (sorted.length - 1));
  const found = new Map<string, Point>();
  let at = start(first);
  for (const [name, box] of sorted) {
    found.set(name, rounded(isFlat ? { x: at, y: box.y } : { x: box.x, y: at }));
    at += length(box) + gap;
  }
  return found;
}

function rounded({ x, y }: Point): Point {
  return { x: Math.round(x), y: Math.round(y) };
}
