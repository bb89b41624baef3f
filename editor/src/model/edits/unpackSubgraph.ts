/** A node that uses a block becomes the block's nodes. */
import { EditFault } from "../fault";
import type { Json } from "../json";
import { changeLayout, layoutOf, type Point } from "../layout";
import { type Link, linkOf, parseLink, targetOf, targetText } from "../links";
import { freeName } from "../names";
import { nodeOf, nodesOf, type Scope, withNodes, withSubgraph } from "../scope";
import { withRoomFor } from "../separate";
import { boxAt, sizesOf } from "../sizes";
import type { NodeTypes } from "../spec";
import type { NodeEntry, Parameter, Subgraph, SubgraphInput, Workflow } from "../workflow";
import { type Fragment, insert } from "./fragment";
import { middleOf } from "./makeSubgraph";
import { mapLayout, mapLinks, mapOutputs, remap } from "./references";
import { removeSubgraph } from "./removeSubgraph";
import { usesOf } from "./uses";

/** The block itself goes too if nothing else uses it. */
export function unpackSubgraph(
  workflow: Workflow,
  scope: Scope,
  node: string,
  types: NodeTypes | null = null,
): { workflow: Workflow; items: readonly string[] } {
  const entry = nodeOf(workflow, scope, node);
  const block = entry && workflow.subgraphs.get(entry.type);
  if (!entry) throw new EditFault("no-such-node", [node]);
  if (!block) throw new EditFault("not-a-subgraph", [node]);
  const fragment = fragmentOf(workflow, entry, block);
  const emptied = withoutNode(workflow, scope, node);
  const offset = offsetOf(workflow, scope, node, fragment);
  const {
    workflow: added,
    items,
    names,
  } = insert(emptied, scope, fragment, offset, {
    withLinks: true,
  });
  const ordered = inPlace(workflow, added, scope, node, items);
  const found = relinked(ordered, scope, node, block, (name) => names.get(name) ?? name);
  const isLeft = usesOf(found, entry.type, types).some((use) => use.scope !== entry.type);
  const unpacked = isLeft ? found : removeSubgraph(found, entry.type, types);
  const at = layoutOf(workflow, scope).positions.get(node);
  const size = sizesOf(workflow, scope, layoutOf(workflow, scope), types).get(node);
  if (!at || !size) return { workflow: unpacked, items };
  const place = { card: boxAt(at, size), names: names.values() };
  return { workflow: withRoomFor(unpacked, scope, types, place), items };
}

/** The block's nodes with what this use gives them. */
function fragmentOf(workflow: Workflow, entry: NodeEntry, block: Subgraph): Fragment {
  const outer = new Map<string, Link>();
  const values = new Map<string, Json>();
  for (const [name, input] of block.inputs) {
    const value = entry.inputs.get(name) ?? input.extra.get("default");
    const link = linkOf(value);
    for (const text of value === undefined ? [] : input.to) {
      if (link) outer.set(text, link);
      else if (value !== undefined) values.set(text, value);
    }
  }
  const nodes = remap<string, NodeEntry>(block.nodes, (name, inner) => [
    name,
    withMode(withValues(name, inner, values), entry),
  ]);
  const { ends: _, ...layout } = layoutOf(workflow, entry.type);
  return { nodes, outer, layout: { ...layout, ends: new Map() } };
}

function withValues(name: string, entry: NodeEntry, values: ReadonlyMap<string, Json>): NodeEntry {
  const inputs = new Map(entry.inputs);
  for (const [text, value] of values) {
    const target = targetOf(text);
    if (target?.node === name) inputs.set(target.port, value);
  }
  return { ...entry, inputs };
}

function withMode(inner: NodeEntry, outer: NodeEntry): NodeEntry {
  return { ...inner, mode: outer.mode ?? inner.mode, always: outer.always || inner.always };
}

function withoutNode(workflow: Workflow, scope: Scope, node: string): Workflow {
  const nodes = new Map(nodesOf(workflow, scope));
  nodes.delete(node);
  return changeLayout(withNodes(workflow, scope, nodes), scope, (layout) =>
    mapLayout(layout, (name) => (name === node ? null : name)),
  );
}

/** The nodes stand around the place of the one that they replace. */
function offsetOf(workflow: Workflow, scope: Scope, node: string, fragment: Fragment): Point {
  const at = layoutOf(workflow, scope).positions.get(node);
  const middle = middleOf(fragment.layout);
  return at && middle ? { x: at.x - middle.x, y: at.y - middle.y } : { x: 0, y: 0 };
}

/** In the file, too, they stand where the one stood. */
function inPlace(
  before: Workflow,
  after: Workflow,
  scope: Scope,
  node: string,
  items: readonly string[],
): Workflow {
  const nodes = nodesOf(after, scope);
  const found = new Map<string, NodeEntry>();
  const put = (name: string): void => {
    const entry = nodes.get(name);
    if (entry) found.set(name, entry);
  };
  for (const name of nodesOf(before, scope).keys()) {
    if (name === node) items.forEach(put);
    else put(name);
  }
  return withNodes(after, scope, found);
}

/** What came out of the node comes from inner nodes now, what varied it varies them. */
function relinked(
  workflow: Workflow,
  scope: Scope,
  node: string,
  block: Subgraph,
  renamed: (name: string) => string,
): Workflow {
  const inner = (link: Link): Link | null => {
    const [only] = block.outputs.keys();
    const text = block.outputs.get(link.port || (only ?? ""));
    const source = text === undefined ? null : parseLink(text);
    return source && { node: renamed(source.node), port: source.port };
  };
  const added = new Set([...block.nodes.keys()].map(renamed));
  // A node of the block may have taken over the name of the one that it comes from.
  const isOuter = (link: Link, to: string | null): boolean =>
    link.node === node && (to === null || !added.has(to));
  let found = withNodes(
    workflow,
    scope,
    mapLinks(nodesOf(workflow, scope), (link, to) => (isOuter(link, to.node) ? inner(link) : link)),
  );
  found = mapOutputs(found, scope, (link) => (isOuter(link, null) ? inner(link) : link));
  const targets = (port: string): readonly string[] =>
    (block.inputs.get(port)?.to ?? []).flatMap((text) => {
      const target = targetOf(text);
      return target ? [targetText({ node: renamed(target.node), port: target.port })] : [];
    });
  return scope === null
    ? withInnerParameters(found, node, targets)
    : withInnerTargets(found, scope, node, targets);
}

/** A parameter varies one input: what led to several becomes as many, named alike. */
function withInnerParameters(
  workflow: Workflow,
  node: string,
  targets: (port: string) => readonly string[],
): Workflow {
  if (![...workflow.parameters.values()].some(({ input }) => targetOf(input)?.node === node)) {
    return workflow;
  }
  const parameters = new Map<string, Parameter>();
  const taken = new Set(workflow.parameters.keys());
  for (const [name, parameter] of workflow.parameters) {
    const target = targetOf(parameter.input);
    const inputs = target?.node === node ? targets(target.port) : [parameter.input];
    inputs.forEach((input, index) => {
      const own = index === 0 ? name : freeName(name, taken);
      taken.add(own);
      parameters.set(own, { ...parameter, input });
    });
  }
  return { ...workflow, parameters };
}

/** The outer block's inputs lead to all the inner inputs that the node's input led to. */
function withInnerTargets(
  workflow: Workflow,
  scope: string,
  node: string,
  targets: (port: string) => readonly string[],
): Workflow {
  const outer = workflow.subgraphs.get(scope);
  if (!outer) return workflow;
  const inputs = remap<string, SubgraphInput>(outer.inputs, (name, input) => {
    if (!input.to.some((text) => targetOf(text)?.node === node)) return [name, input];
    const to = input.to.flatMap((text) => {
      const target = targetOf(text);
      return target?.node === node ? targets(target.port) : [text];
    });
    return [name, { ...input, to: [...new Set(to)] }];
  });
  return inputs === outer.inputs ? workflow : withSubgraph(workflow, scope, { ...outer, inputs });
}
