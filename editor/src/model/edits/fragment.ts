/** A part of a graph on its own, to be put in again here or elsewhere. */
import { EditFault } from "../fault";
import { edgeId, edgeTarget } from "../graph";
import { groupItem, itemOf, noteItem } from "../items";
import { sameJson } from "../json";
import { changeLayout, type Group, type Layout, layoutOf, type Note, type Point } from "../layout";
import { type Link, linkJson } from "../links";
import { freeName } from "../names";
import { nodesOf, type Scope, withNodes } from "../scope";
import {
  type NodeEntry,
  type Nodes,
  type Subgraph,
  type Workflow,
  workflowToJson,
} from "../workflow";
import { freeId } from "./boxes";
import { freeNodeName, reaches } from "./nodes";
import { mapEntryLinks, mapLayout, mapLinks, shifted } from "./references";

export interface Fragment {
  readonly nodes: Nodes;
  readonly layout: Layout;
  /** Links from nodes that aren't part of it, by edge id. */
  readonly outer: ReadonlyMap<string, Link>;
}

export function isEmptyFragment({ nodes, layout }: Fragment): boolean {
  return nodes.size + layout.groups.length + layout.notes.length === 0;
}

/** The selected nodes with the links among them, groups and notes. */
export function extract(workflow: Workflow, scope: Scope, items: Iterable<string>): Fragment {
  const picked = [...items].map(itemOf);
  const names = new Set(picked.flatMap((item) => (item.kind === "node" ? [item.name] : [])));
  const groups = new Set(picked.flatMap((item) => (item.kind === "group" ? [item.id] : [])));
  const notes = new Set(picked.flatMap((item) => (item.kind === "note" ? [item.id] : [])));
  const chosen = new Map([...nodesOf(workflow, scope)].filter(([name]) => names.has(name)));
  const outer = new Map<string, Link>();
  const nodes = mapLinks(chosen, (link, to) => {
    if (names.has(link.node)) return link;
    outer.set(edgeId(to.node, to.port), link);
    return null;
  });
  const layout = layoutOf(workflow, scope);
  const cut = mapLayout(layout, (name) => (names.has(name) ? name : null));
  return {
    nodes,
    outer,
    layout: {
      ...cut,
      ends: new Map(),
      groups: layout.groups.filter((group) => groups.has(group.id)),
      notes: layout.notes.filter((note) => notes.has(note.id)),
    },
  };
}

/** What it holds as items, in the order in which `insert` tells of what it made of them. */
export function itemsOf({ nodes, layout }: Fragment): readonly string[] {
  return [
    ...nodes.keys(),
    ...layout.groups.map((group) => groupItem(group.id)),
    ...layout.notes.map((note) => noteItem(note.id)),
  ];
}

/** The top left corner of all that has a place. */
export function cornerOf({ layout }: Fragment): Point | null {
  const points: Point[] = [
    ...layout.positions.values(),
    ...layout.groups.map((group) => group.box),
    ...layout.notes.map((note) => note.box),
  ];
  if (points.length === 0) return null;
  return {
    x: Math.min(...points.map((point) => point.x)),
    y: Math.min(...points.map((point) => point.y)),
  };
}

export interface InsertOptions {
  /** Also link to nodes outside the fragment, where the graph has them. */
  readonly withLinks?: boolean;
}

/** Put a fragment in, all moved by an offset; names that are taken become others. */
export function insert(
  workflow: Workflow,
  scope: Scope,
  fragment: Fragment,
  offset: Point,
  { withLinks = false }: InsertOptions = {},
): { workflow: Workflow; items: readonly string[]; names: ReadonlyMap<string, string> } {
  refuseRecursion(workflow, scope, fragment);
  const before = nodesOf(workflow, scope);
  const names = newNames(workflow, scope, fragment);
  const renamed = (name: string): string => names.get(name) ?? name;
  const nodes = new Map(before);
  for (const [name, entry] of fragment.nodes) {
    const relinked = mapEntryLinks(name, entry, (link) => {
      const node = renamed(link.node);
      return node === link.node ? link : { ...link, node };
    });
    const linked = withLinks ? withOuterLinks(name, relinked, fragment.outer, before) : relinked;
    nodes.set(renamed(name), linked);
  }
  const layout = layoutOf(workflow, scope);
  const [groups, notes] = [
    renewed("group", layout.groups, fragment.layout.groups, offset),
    renewed("note", layout.notes, fragment.layout.notes, offset),
  ];
  const moved = movedBy(mapLayout(fragment.layout, renamed), offset);
  const found = changeLayout(withNodes(workflow, scope, nodes), scope, () =>
    joined(layout, { ...moved, groups, notes }),
  );
  const items = [
    ...names.values(),
    ...groups.map((group) => groupItem(group.id)),
    ...notes.map((note) => noteItem(note.id)),
  ];
  return { workflow: found, items, names };
}

function refuseRecursion(workflow: Workflow, scope: Scope, fragment: Fragment): void {
  if (scope === null) return;
  if (!workflow.subgraphs.has(scope)) throw new EditFault("no-such-subgraph", [scope]);
  for (const { type } of fragment.nodes.values()) {
    if (reaches(workflow, type, scope)) throw new EditFault("recursive-subgraph", [type]);
  }
}

function newNames(
  workflow: Workflow,
  scope: Scope,
  fragment: Fragment,
): ReadonlyMap<string, string> {
  const taken = new Set(nodesOf(workflow, scope).keys());
  const names = new Map<string, string>();
  for (const name of fragment.nodes.keys()) {
    const found = freeName(freeNodeName(workflow, scope, name), taken);
    taken.add(found);
    names.set(name, found);
  }
  return names;
}

function withOuterLinks(
  name: string,
  entry: NodeEntry,
  outer: ReadonlyMap<string, Link>,
  there: Nodes,
): NodeEntry {
  const inputs = new Map(entry.inputs);
  for (const [id, link] of outer) {
    const { node, port } = edgeTarget(id);
    if (node === name && there.has(link.node)) inputs.set(port, linkJson(link));
  }
  return { ...entry, inputs };
}

function renewed<T extends Group | Note>(
  kind: string,
  there: readonly T[],
  added: readonly T[],
  offset: Point,
): readonly T[] {
  const found: T[] = [];
  for (const item of added) {
    const id = freeId(kind, [...there, ...found]);
    found.push({ ...item, id, box: { ...item.box, ...shifted(item.box, offset) } });
  }
  return found;
}

function movedBy(layout: Layout, offset: Point): Layout {
  const move = (point: Point): Point => shifted(point, offset);
  return {
    ...layout,
    positions: mapped(layout.positions, move),
    reroutes: mapped(layout.reroutes, (points) =>
      points.map((point) => ({ ...point, ...move(point) })),
    ),
  };
}

function mapped<V>(map: ReadonlyMap<string, V>, change: (value: V) => V): ReadonlyMap<string, V> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}

/** Two layouts in one; parts to which nothing is added stay the same. */
function joined(a: Layout, b: Layout): Layout {
  return {
    positions: both(a.positions, b.positions),
    sizes: both(a.sizes, b.sizes),
    colors: both(a.colors, b.colors),
    collapsed: b.collapsed.size > 0 ? new Set([...a.collapsed, ...b.collapsed]) : a.collapsed,
    locked: b.locked.size > 0 ? new Set([...a.locked, ...b.locked]) : a.locked,
    alphaLocked:
      b.alphaLocked.size > 0 ? new Set([...a.alphaLocked, ...b.alphaLocked]) : a.alphaLocked,
    groups: b.groups.length > 0 ? [...a.groups, ...b.groups] : a.groups,
    notes: b.notes.length > 0 ? [...a.notes, ...b.notes] : a.notes,
    comments: joinedComments(a.comments, b.comments),
    reroutes: both(a.reroutes, b.reroutes),
    shown: both(a.shown, b.shown),
    seeds: both(a.seeds, b.seeds),
    ends: both(a.ends, b.ends),
  };
}

/** Comments move along with their node; a copy of it has none. */
function joinedComments(a: Layout["comments"], b: Layout["comments"]): Layout["comments"] {
  const known = new Set(a.map(({ id }) => id));
  const added = b.filter(({ id }) => !known.has(id));
  return added.length > 0 ? [...a, ...added] : a;
}

function both<V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): ReadonlyMap<string, V> {
  return b.size > 0 ? new Map([...a, ...b]) : a;
}

/** The blocks that some types use, at any depth. */
export function blocksOf(workflow: Workflow, nodes: Nodes): ReadonlyMap<string, Subgraph> {
  const found = new Map<string, Subgraph>();
  const visit = (some: Nodes): void => {
    for (const name of namedBlocks(some)) {
      const block = workflow.subgraphs.get(name);
      if (!block || found.has(name)) continue;
      found.set(name, block);
      visit(block.nodes);
    }
  };
  visit(nodes);
  return found;
}

/** Types, and texts that may name the block which a node runs. */
function* namedBlocks(nodes: Nodes): Iterable<string> {
  for (const { type, inputs } of nodes.values()) {
    yield type;
    for (const value of inputs.values()) if (typeof value === "string") yield value;
  }
}

/**
 * Bring the blocks of another workflow here, with their layouts. A block that says the same as the
 * one of its name here is that one; any other gets a free name.
 */
export function adoptBlocks(
  workflow: Workflow,
  from: Workflow,
  nodes: Nodes,
): { workflow: Workflow; nodes: Nodes } {
  const blocks = blocksOf(from, nodes);
  const names = new Map<string, string>();
  const taken = new Set([...workflow.subgraphs.keys(), ...blocks.keys()]);
  for (const [name, block] of blocks) {
    const here = workflow.subgraphs.get(name);
    const isSame = here === undefined || sameBlock(here, block);
    const found = isSame ? name : freeName(name, taken);
    taken.add(found);
    names.set(name, found);
  }
  const subgraphs = new Map(workflow.subgraphs);
  let found = workflow;
  for (const [name, block] of blocks) {
    const own = names.get(name) ?? name;
    if (!subgraphs.has(own)) {
      subgraphs.set(own, { ...block, nodes: renamedTypes(block.nodes, names) });
    }
  }
  found = subgraphs.size > workflow.subgraphs.size ? { ...workflow, subgraphs } : workflow;
  for (const [name, own] of names) {
    if (workflow.subgraphs.has(own)) continue;
    found = changeLayout(found, own, () => layoutOf(from, name));
  }
  return { workflow: found, nodes: renamedTypes(nodes, names) };
}

function sameBlock(a: Subgraph, b: Subgraph): boolean {
  return a === b || sameJson(blockJson(a), blockJson(b));
}

function blockJson(block: Subgraph) {
  const alone: Workflow = {
    format: "",
    title: "",
    description: "",
    parameters: new Map(),
    nodes: new Map(),
    subgraphs: new Map([["block", block]]),
    requires: new Map(),
    ui: new Map(),
    extra: new Map(),
  };
  return workflowToJson(alone);
}

/** Nodes that use blocks under other names: as their type, or as the value of an input. */
function renamedTypes(nodes: Nodes, names: ReadonlyMap<string, string>): Nodes {
  if ([...names].every(([from, to]) => from === to)) return nodes;
  const found = new Map<string, NodeEntry>();
  for (const [name, entry] of nodes) {
    const inputs = new Map(entry.inputs);
    const body = inputs.get("body");
    const renamed = typeof body === "string" ? names.get(body) : undefined;
    if (renamed !== undefined) inputs.set("body", renamed);
    found.set(name, { ...entry, type: names.get(entry.type) ?? entry.type, inputs });
  }
  return found;
}
