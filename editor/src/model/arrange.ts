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
import { inLines } from "./lines";
import { headOf, stackExtent, stackPlaces, stacksOf } from "./noteStacks";
import { nodesOf, type Scope } from "./scope";
import { around, boxAt, type Extent, isWithin, sizesOf } from "./sizes";
import type { NodeTypes } from "./spec";
import { untangled } from "./untangle";
import { type Wire, wiresOf } from "./wires";
import type { Workflow } from "./workflow";

const BETWEEN_COLUMNS = 60;
const BETWEEN_ROWS = 24;
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
  return placedAnew(workflow, scope, types, measured, names).positions;
}

interface Placed {
  readonly positions: Map<string, Point>;
  /** Of the notes at these nodes, by their ids. */
  readonly notes: ReadonlyMap<string, Point>;
  /** Each node with its notes. */
  readonly boxes: ReadonlyMap<string, Box>;
  readonly groups: Members;
}

function placedAnew(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size>,
  names: Iterable<string> | undefined,
): Placed {
  const layout = layoutOf(workflow, scope);
  const nodes = nodesOf(workflow, scope);
  const wanted = new Set([...(names ?? nodes.keys())].filter((name) => nodes.has(name)));
  const sizes = sizesOf(workflow, scope, layout, types, measured);
  const groups = groupMembers(layout, sizes, wanted);
  const stacks = stacksOf(layout, sizes, wanted);
  const sizeOf = (name: string) => sizes.get(name) ?? NO_SIZE;
  const extents = new Map(
    [...wanted].map((name) => {
      const stack = stacks.get(name);
      return [name, stack ? stackExtent(stack, sizeOf(name)) : sizeOf(name)] as const;
    }),
  );
  const edges = edgesOf(nodes).filter(
    ({ from, to }) => wanted.has(from.node) && wanted.has(to.node),
  );
  const wires = wiresOf(edges, workflow, nodes, types).map((wire) => {
    const heads = [wire.from, wire.to].map((name) => headOf(stacks.get(name)));
    return { ...wire, out: wire.out + (heads[0] ?? 0), into: wire.into + (heads[1] ?? 0) };
  });
  const placed = placeNested([...wanted], wires, extents, groups);
  const corners = movedTo(placed, extents, anchorOf(layout, wanted, sizes));
  const [positions, notes] = [new Map<string, Point>(), new Map<string, Point>()];
  for (const [name, corner] of corners) {
    const stack = stacks.get(name) ?? { above: [], below: [] };
    const places = stackPlaces(stack, sizeOf(name), corner);
    positions.set(name, places.node);
    for (const [id, at] of places.notes) notes.set(id, at);
  }
  const boxes = new Map(
    [...corners].map(([name, at]) => [name, boxAt(at, extents.get(name) ?? NO_SIZE)]),
  );
  return { positions, notes, boxes, groups };
}

/**
 * The workflow with its nodes in new places, notes at those at which they stood, and groups drawn
 * around what they held.
 */
export function arrange(
  workflow: Workflow,
  scope: Scope,
  types: NodeTypes | null,
  measured: ReadonlyMap<string, Size> = new Map(),
  names?: Iterable<string>,
): Workflow {
  const placed = placedAnew(workflow, scope, types, measured, names);
  const { positions: moved, notes, boxes, groups } = placed;
  if (moved.size === 0) return workflow;
  return changeLayout(workflow, scope, (layout) => ({
    ...layout,
    positions: new Map([...layout.positions, ...moved]),
    groups: layout.groups.map((group) => aroundMembers(group, groups.get(group.id), boxes)),
    notes: layout.notes.map((note) => {
      const at = notes.get(note.id);
      return at ? { ...note, box: boxAt(at, note.box) } : note;
    }),
    reroutes: new Map(
      [...layout.reroutes].filter(([edge]) => !moved.has(edge.slice(0, edge.indexOf(".")))),
    ),
  }));
}

function aroundMembers(
  group: Group,
  members: ReadonlySet<string> | undefined,
  boxes: ReadonlyMap<string, Box>,
): Group {
  const held = [...(members ?? [])].flatMap((name) => boxes.get(name) ?? []);
  const box = around(held, GROUP_MARGIN);
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

/** Each group by itself first, then as one large node among the others. */
function placeNested(
  names: readonly string[],
  wires: readonly Wire[],
  sizes: ReadonlyMap<string, Extent>,
  groups: Members,
): ReadonlyMap<string, Point> {
  const home = new Map<string, string>();
  for (const [id, members] of groups) for (const name of members) home.set(name, `group/${id}`);
  const inside = new Map<string, ReadonlyMap<string, Point>>();
  const outer = new Map<string, Extent>();
  for (const name of names) if (!home.has(name)) outer.set(name, sizes.get(name) ?? NO_SIZE);
  for (const [id, members] of groups) {
    const own = wires.filter(({ from, to }) => members.has(from) && members.has(to));
    const extents = new Map([...members].map((name) => [name, sizes.get(name) ?? NO_SIZE]));
    const places = inLines(placeFlat(extents, own), extents, own);
    const box = around([...places].map(([name, at]) => boxAt(at, sizes.get(name) ?? NO_SIZE)));
    inside.set(`group/${id}`, places);
    outer.set(`group/${id}`, {
      width: (box?.width ?? 0) + 2 * GROUP_MARGIN,
      height: (box?.height ?? 0) + GROUP_MARGIN + GROUP_HEAD,
    });
  }
  const topIn = (name: string): number => {
    const own = inside.get(home.get(name) ?? "")?.get(name);
    return own ? own.y + GROUP_HEAD : 0;
  };
  const lifted = wires
    .map(({ from, to, out, into }) => ({
      from: home.get(from) ?? from,
      to: home.get(to) ?? to,
      out: out + topIn(from),
      into: into + topIn(to),
    }))
    .filter(({ from, to }) => from !== to);
  const found = new Map<string, Point>();
  for (const [item, at] of inLines(placeFlat(outer, lifted), outer, lifted)) {
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
  wires: readonly Wire[],
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
  for (const { from, to } of wires) graph.setEdge(from, to, { weight: 1, minlen: 1 });
  place(graph);
  const corners = new Map<string, Point>();
  for (const [name, size] of sizes) {
    const { x, y } = graph.node(name) as Point;
    corners.set(name, { x: x - size.width / 2, y: y - size.height / 2 });
  }
  return movedTo(untangled(corners, sizes, wires), sizes, { x: 0, y: 0 });
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
