/** Places for nodes that the file gives none: columns by depth, in the order of what feeds them. */
import { autoLayout } from "@/model/arrange";
import { edgesOf } from "@/model/graph";
import { changeLayout, type Layout, layoutOf, type Point, type Size } from "@/model/layout";
import { nodesOf, type Scope } from "@/model/scope";
import type { NodeTypes } from "@/model/spec";
import type { Nodes, Workflow } from "@/model/workflow";
import { boundsOf } from "./geometry";

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
  if (placed === null) return columnPlaces(columnsOf(names, nodes), sizeOf, { x: 0, y: 0 });
  const wanted = new Set(names);
  const feeding = edgesOf(nodes).flatMap(({ from, to }) =>
    wanted.has(to.node) ? (boxes.get(from.node) ?? []) : [],
  );
  const feeders = boundsOf(feeding);
  // Below all others, and right of what they take from.
  const x = feeders === null ? placed.x : feeders.x + feeders.width + COLUMN_GAP;
  const y = placed.y + placed.height + COLUMN_GAP;
  return columnPlaces(columnsOf(names, nodes), sizeOf, { x, y });
}

/** Nodes by their distance from what feeds them, each column in the order of its neighbours. */
function columnsOf(names: readonly string[], nodes: Nodes): readonly (readonly string[])[] {
  const wanted = new Set(names);
  const links = edgesOf(nodes).filter(
    ({ from, to }) => wanted.has(from.node) && wanted.has(to.node),
  );
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
