/** Nodes: adding, naming, and what they say of themselves. */
import { EditFault } from "../fault";
import type { Json } from "../json";
import { changeLayout, type Point } from "../layout";
import { cleanNodeName, freeName, nameForType } from "../names";
import { nodesOf, type Scope, withEach, withNode, withNodes } from "../scope";
import { emptyNode, isNodeName, type Mode, type Workflow } from "../workflow";
import { mapLayout, mapLinks, mapOutputs, mapTargets, remap } from "./references";

export interface NewNode {
  readonly type: string;
  readonly at: Point;
  readonly name?: string;
  readonly inputs?: ReadonlyMap<string, Json>;
  readonly label?: string;
}

/** Add a node under its name, or the next free one. */
export function addNode(
  workflow: Workflow,
  scope: Scope,
  { type, at, name, inputs, label = "" }: NewNode,
): { workflow: Workflow; name: string } {
  if (scope !== null && !workflow.subgraphs.has(scope)) {
    throw new EditFault("no-such-subgraph", [scope]);
  }
  if (scope !== null && reaches(workflow, type, scope)) {
    throw new EditFault("recursive-subgraph", [type]);
  }
  const found = freeNodeName(workflow, scope, name ?? nameForType(type));
  const entry = { ...emptyNode(type), inputs: inputs ?? new Map<string, Json>(), label };
  const nodes = new Map(nodesOf(workflow, scope)).set(found, entry);
  const added = changeLayout(withNodes(workflow, scope, nodes), scope, (layout) => ({
    ...layout,
    positions: new Map(layout.positions).set(found, {
      x: Math.round(at.x) || 0,
      y: Math.round(at.y) || 0,
    }),
  }));
  return { workflow: added, name: found };
}

/** Whether a block is, or uses at any depth, another one. */
export function reaches(workflow: Workflow, outer: string, inner: string): boolean {
  const seen = new Set([outer]);
  for (const name of seen) {
    if (name === inner) return workflow.subgraphs.has(outer);
    for (const { type } of nodesOf(workflow, name).values()) {
      if (workflow.subgraphs.has(type)) seen.add(type);
    }
  }
  return false;
}

export function freeNodeName(workflow: Workflow, scope: Scope, wanted: string): string {
  return freeName(cleanNodeName(wanted) || "node", nodesOf(workflow, scope));
}

/** Rename a node, and it in links, parameters, the block's ports, and the layout. */
export function renameNode(workflow: Workflow, scope: Scope, from: string, to: string): Workflow {
  const nodes = nodesOf(workflow, scope);
  if (from === to) return workflow;
  if (!nodes.has(from)) throw new EditFault("no-such-node", [from]);
  if (!isNodeName(to)) throw new EditFault("bad-name", [to]);
  if (nodes.has(to)) throw new EditFault("name-taken", [to]);
  const named = <T extends { readonly node: string }>(item: T): T =>
    item.node === from ? { ...item, node: to } : item;
  const name = (given: string): string => (given === from ? to : given);
  const renamed = remap(mapLinks(nodes, named), (key, entry) => [name(key), entry]);
  let found = withNodes(workflow, scope, renamed);
  found = mapOutputs(mapTargets(found, scope, named), scope, named);
  return changeLayout(found, scope, (layout) => mapLayout(layout, name));
}

export function setMode(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  mode: Mode | null,
): Workflow {
  return withEach(workflow, scope, names, (entry) =>
    entry.mode === mode ? entry : { ...entry, mode },
  );
}

export function setAlways(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  always: boolean,
): Workflow {
  return withEach(workflow, scope, names, (entry) =>
    entry.always === always ? entry : { ...entry, always },
  );
}

export function setLabel(workflow: Workflow, scope: Scope, name: string, label: string): Workflow {
  return withNode(workflow, scope, name, (entry) =>
    entry.label === label ? entry : { ...entry, label },
  );
}

export function setNote(workflow: Workflow, scope: Scope, name: string, note: string): Workflow {
  return withNode(workflow, scope, name, (entry) =>
    entry.note === note ? entry : { ...entry, note },
  );
}
