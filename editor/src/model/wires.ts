/** Links with the places of their ports on the cards, as far as arranging these needs them. */
import type { Edge } from "./graph";
import { type NodeTypes, typeOf } from "./spec";
import type { Nodes, Workflow } from "./workflow";

/** A link between two boxes, with the heights of its ports in them. */
export interface Wire {
  readonly from: string;
  readonly to: string;
  readonly out: number;
  readonly into: number;
}

const PORTS_TOP = 46;
const PORT_ROW = 24;

/** The links with about where their ports are, from the tops of the cards. */
export function wiresOf(
  edges: readonly Edge[],
  workflow: Workflow,
  nodes: Nodes,
  types: NodeTypes | null,
): readonly Wire[] {
  const linked = new Map<string, string[]>();
  for (const { to } of edges) linked.set(to.node, [...(linked.get(to.node) ?? []), to.port]);
  const specOf = (name: string) => {
    const entry = nodes.get(name);
    return entry && types ? typeOf(types, workflow, entry) : null;
  };
  return edges.map(({ from, to }) => {
    const inputs = specOf(to.node)?.inputs.map(({ name }) => name) ?? [];
    // In the order of the card; inputs that are fields have no row.
    const rows = (linked.get(to.node) ?? []).toSorted(
      (a, b) => inputs.indexOf(a) - inputs.indexOf(b),
    );
    const outputs = specOf(from.node)?.outputs ?? [];
    const row = Math.max(
      0,
      outputs.findIndex(({ name }) => name === from.port),
    );
    return {
      from: from.node,
      to: to.node,
      out: PORTS_TOP + row * PORT_ROW,
      into: PORTS_TOP + rows.indexOf(to.port) * PORT_ROW,
    };
  });
}
