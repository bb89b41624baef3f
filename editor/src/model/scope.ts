/** Which graph of a workflow is edited: the file's own (null), or one of its subgraphs (its name). */
import type { NodeEntry, Nodes, Subgraph, Workflow } from "./workflow";

export type Scope = string | null;

const NONE: Nodes = new Map();

export function nodesOf(workflow: Workflow, scope: Scope): Nodes {
  if (scope === null) return workflow.nodes;
  return workflow.subgraphs.get(scope)?.nodes ?? NONE;
}

export function nodeOf(workflow: Workflow, scope: Scope, name: string): NodeEntry | null {
  return nodesOf(workflow, scope).get(name) ?? null;
}

/** All the graphs of a workflow, its own first. */
export function scopesOf(workflow: Workflow): readonly Scope[] {
  return [null, ...workflow.subgraphs.keys()];
}

/** The workflow with other nodes in one of its graphs; the same one if they are the same. */
export function withNodes(workflow: Workflow, scope: Scope, nodes: Nodes): Workflow {
  if (nodes === nodesOf(workflow, scope)) return workflow;
  if (scope === null) return { ...workflow, nodes };
  const block = workflow.subgraphs.get(scope);
  return block ? withSubgraph(workflow, scope, { ...block, nodes }) : workflow;
}

export function withSubgraph(workflow: Workflow, name: string, block: Subgraph): Workflow {
  if (workflow.subgraphs.get(name) === block) return workflow;
  return { ...workflow, subgraphs: new Map(workflow.subgraphs).set(name, block) };
}

/** The workflow with one node changed; the same one if it stays as it was or isn't there. */
export function withNode(
  workflow: Workflow,
  scope: Scope,
  name: string,
  change: (entry: NodeEntry) => NodeEntry,
): Workflow {
  return withEach(workflow, scope, [name], change);
}

export function withEach(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  change: (entry: NodeEntry, name: string) => NodeEntry,
): Workflow {
  const nodes = nodesOf(workflow, scope);
  let found: Map<string, NodeEntry> | null = null;
  for (const name of names) {
    const entry = nodes.get(name);
    const changed = entry && change(entry, name);
    if (!changed || changed === entry) continue;
    found ??= new Map(nodes);
    found.set(name, changed);
  }
  return found ? withNodes(workflow, scope, found) : workflow;
}
