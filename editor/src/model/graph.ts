/** The links of a graph as edges, and what they lead to. */
import { isLink, type Link, linkOf, type Target } from "./links";
import type { NodeEntry, Nodes } from "./workflow";

/** A link; its id is the input it feeds, "node.port", as an input takes one link. */
export interface Edge {
  readonly id: string;
  readonly from: Link;
  readonly to: Target;
}

const edgesByNode = new WeakMap<NodeEntry, { readonly name: string; edges: readonly Edge[] }>();
const edgesByNodes = new WeakMap<Nodes, readonly Edge[]>();

/** All links between nodes that there are; edges of unchanged nodes stay the same objects. */
export function edgesOf(nodes: Nodes): readonly Edge[] {
  const known = edgesByNodes.get(nodes);
  if (known) return known;
  const found: Edge[] = [];
  for (const [name, entry] of nodes) {
    for (const edge of edgesInto(name, entry)) if (nodes.has(edge.from.node)) found.push(edge);
  }
  edgesByNodes.set(nodes, found);
  return found;
}

/** The links that a node's inputs are, whether or not their sources exist. */
export function edgesInto(name: string, entry: NodeEntry): readonly Edge[] {
  const known = edgesByNode.get(entry);
  if (known?.name === name) return known.edges;
  const edges: Edge[] = [];
  for (const [port, value] of entry.inputs) {
    const from = isLink(value) ? linkOf(value) : null;
    if (from) edges.push({ id: edgeId(name, port), from, to: { node: name, port } });
  }
  edgesByNode.set(entry, { name, edges });
  return edges;
}

export function edgeId(node: string, port: string): string {
  return `${node}.${port}`;
}

/** The input that an edge's id names. */
export function edgeTarget(id: string): Target {
  const dot = id.indexOf(".");
  return dot < 0 ? { node: id, port: "" } : { node: id.slice(0, dot), port: id.slice(dot + 1) };
}

/** Some nodes and all that they depend on. */
export function upstream(nodes: Nodes, names: Iterable<string>): Set<string> {
  return reach(names, (name) => {
    const entry = nodes.get(name);
    if (!entry) return [];
    return edgesInto(name, entry)
      .map((edge) => edge.from.node)
      .filter((from) => nodes.has(from));
  });
}

/** Some nodes and all that depends on them. */
export function downstream(nodes: Nodes, names: Iterable<string>): Set<string> {
  const users = new Map<string, string[]>();
  for (const { from, to } of edgesOf(nodes)) {
    const known = users.get(from.node);
    if (known) known.push(to.node);
    else users.set(from.node, [to.node]);
  }
  return reach(names, (name) => users.get(name) ?? []);
}

function reach(names: Iterable<string>, next: (name: string) => readonly string[]): Set<string> {
  const found = new Set(names);
  // A set hands out what is added while it is walked.
  for (const name of found) for (const other of next(name)) found.add(other);
  return found;
}

/** Whether a link from one node to another would close a circle. */
export function wouldCycle(nodes: Nodes, from: string, to: string): boolean {
  return from === to || upstream(nodes, [from]).has(to);
}

/** The edges that leave a node. */
export function edgesFrom(nodes: Nodes, name: string): readonly Edge[] {
  return edgesOf(nodes).filter((edge) => edge.from.node === name);
}
