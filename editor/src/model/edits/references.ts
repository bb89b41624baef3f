/** Everything that refers to nodes and their ports: links, parameters, a block's ports, layout. */
import { edgeId, edgeTarget } from "../graph";
import { isObject, type Json } from "../json";
import { changeLayout, type Layout, type Point } from "../layout";
import {
  type Link,
  linkOf,
  linkText,
  parseLink,
  type Target,
  targetOf,
  targetText,
} from "../links";
import { type Scope, withNodes, withSubgraph } from "../scope";
import type { NodeEntry, Nodes, Parameter, SubgraphInput, Workflow } from "../workflow";

/** A map with other keys and values in the old order; the same map if nothing changes. */
export function remap<K, V>(
  map: ReadonlyMap<K, V>,
  change: (key: K, value: V) => readonly [K, V] | null,
): ReadonlyMap<K, V> {
  const found = new Map<K, V>();
  let same = true;
  for (const [key, value] of map) {
    const changed = change(key, value);
    if (changed === null) {
      same = false;
      continue;
    }
    same &&= changed[0] === key && changed[1] === value;
    found.set(changed[0], changed[1]);
  }
  return same ? map : found;
}

/** Gives the link itself to leave it, another to replace it, null to take the input away. */
export type ChangeLink = (link: Link, to: Target) => Link | null;

/** Nodes with other links. */
export function mapLinks(nodes: Nodes, change: ChangeLink): Nodes {
  return remap(nodes, (name, entry) => [name, mapEntryLinks(name, entry, change)]);
}

export function mapEntryLinks(name: string, entry: NodeEntry, change: ChangeLink): NodeEntry {
  const inputs = remap(entry.inputs, (port, value) => {
    const link = linkOf(value);
    const changed = link && change(link, { node: name, port });
    if (link === null || changed === link) return [port, value];
    return changed && [port, relinked(value, changed)];
  });
  return inputs === entry.inputs ? entry : { ...entry, inputs };
}

/** A link to somewhere else, with the unknown keys beside its "from". */
function relinked(value: Json, link: Link): Json {
  return new Map(isObject(value) ? value : []).set("from", linkText(link));
}

/**
 * The workflow with other targets in its parameters (of the file's own graph), or in the inputs of
 * the block; null takes the parameter, or the one target, away.
 */
export function mapTargets(
  workflow: Workflow,
  scope: Scope,
  change: (target: Target) => Target | null,
): Workflow {
  const one = (text: string): string | null => {
    const target = targetOf(text);
    const changed = target && change(target);
    return changed === target ? text : changed && targetText(changed);
  };
  return scope === null ? mapParameters(workflow, one) : mapBlockInputs(workflow, scope, one);
}

type ChangeText = (text: string) => string | null;

function mapParameters(workflow: Workflow, change: ChangeText): Workflow {
  const parameters = remap<string, Parameter>(workflow.parameters, (name, parameter) => {
    const input = change(parameter.input);
    if (input === null) return null;
    return [name, input === parameter.input ? parameter : { ...parameter, input }];
  });
  return parameters === workflow.parameters ? workflow : { ...workflow, parameters };
}

function mapBlockInputs(workflow: Workflow, scope: string, change: ChangeText): Workflow {
  const block = workflow.subgraphs.get(scope);
  if (!block) return workflow;
  const inputs = remap<string, SubgraphInput>(block.inputs, (name, input) => {
    const to = input.to.map(change).filter((text): text is string => text !== null);
    const same = to.length === input.to.length && to.every((text, at) => text === input.to[at]);
    return [name, same ? input : { ...input, to: [...new Set(to)] }];
  });
  return inputs === block.inputs ? workflow : withSubgraph(workflow, scope, { ...block, inputs });
}

/** The workflow with other inner outputs behind a block's outputs. */
export function mapOutputs(
  workflow: Workflow,
  scope: Scope,
  change: (link: Link) => Link | null,
): Workflow {
  const block = scope === null ? undefined : workflow.subgraphs.get(scope);
  if (scope === null || !block) return workflow;
  const outputs = remap(block.outputs, (name, text) => {
    const link = parseLink(text);
    const changed = link && change(link);
    if (changed === link) return [name, text];
    return changed && [name, linkText(changed)];
  });
  return outputs === block.outputs
    ? workflow
    : withSubgraph(workflow, scope, { ...block, outputs });
}

/** Gives the name itself to leave it, another to replace it, null to take it away. */
export type ChangeName = (name: string) => string | null;
export type ChangeTarget = (target: Target) => Target | null;

/** A layout with other nodes, and inputs of nodes (by default those of the same nodes). */
export function mapLayout(
  layout: Layout,
  node: ChangeName,
  target: ChangeTarget = ({ node: name, port }) => {
    const changed = node(name);
    return changed === null ? null : { node: changed, port };
  },
): Layout {
  const byNode = <V>(map: ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    remap(map, (name, value) => {
      const changed = node(name);
      return changed === null ? null : [changed, value];
    });
  const byTarget = <V>(map: ReadonlyMap<string, V>): ReadonlyMap<string, V> =>
    remap(map, (id, value) => {
      const changed = target(edgeTarget(id));
      return changed && [edgeId(changed.node, changed.port), value];
    });
  const among = (names: ReadonlySet<string>): ReadonlySet<string> => {
    const changed = [...names].map(node);
    if ([...names].every((name, at) => name === changed[at])) return names;
    return new Set(changed.filter((name): name is string => name !== null));
  };
  const found: Layout = {
    ...layout,
    positions: byNode(layout.positions),
    sizes: byNode(layout.sizes),
    colors: byNode(layout.colors),
    collapsed: among(layout.collapsed),
    locked: among(layout.locked),
    comments: mapComments(layout.comments, node),
    alphaLocked: among(layout.alphaLocked),
    shown: mapShown(byNode(layout.shown), node, target),
    reroutes: byTarget(layout.reroutes),
    seeds: byTarget(layout.seeds),
  };
  return sameLayout(layout, found) ? layout : found;
}

function mapComments(comments: Layout["comments"], node: ChangeName): Layout["comments"] {
  const found = comments.flatMap((comment) => {
    const changed = node(comment.node);
    if (changed === comment.node) return [comment];
    return changed === null ? [] : [{ ...comment, node: changed }];
  });
  return found.every((each, at) => each === comments[at]) && found.length === comments.length
    ? comments
    : found;
}

function mapShown(shown: Layout["shown"], node: ChangeName, target: ChangeTarget): Layout["shown"] {
  return remap(shown, (name, ports) => {
    // The names have changed already; only ports of nodes that keep theirs can change.
    if (node(name) !== name) return [name, ports];
    const found = [...ports].map((port) => target({ node: name, port })?.port);
    if ([...ports].every((port, at) => port === found[at])) return [name, ports];
    return [name, new Set(found.filter((port): port is string => port !== undefined))];
  });
}

function sameLayout(a: Layout, b: Layout): boolean {
  return (Object.keys(a) as (keyof Layout)[]).every((key) => a[key] === b[key]);
}

/** Rename an input of a node, and all that refers to it. */
export function renamePort(
  workflow: Workflow,
  scope: Scope,
  nodes: Nodes,
  node: string,
  from: string,
  to: string | null,
): Workflow {
  const target: ChangeTarget = (given) => {
    if (given.node !== node || given.port !== from) return given;
    return to === null ? null : { node, port: to };
  };
  const entry = nodes.get(node);
  const inputs =
    entry &&
    remap<string, Json>(entry.inputs, (port, value) => {
      if (port !== from) return [port, value];
      return to === null ? null : [to, value];
    });
  const changed =
    entry && inputs && inputs !== entry.inputs
      ? withNodes(workflow, scope, new Map(nodes).set(node, { ...entry, inputs }))
      : workflow;
  return changeLayout(mapTargets(changed, scope, target), scope, (layout) =>
    mapLayout(layout, (name) => name, target),
  );
}

export function shifted(point: Point, by: Point): Point {
  return { x: Math.round(point.x + by.x), y: Math.round(point.y + by.y) };
}
