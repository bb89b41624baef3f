/** Taking things away, with the links that were led through removed nodes reconnected if wanted. */
import { fit } from "../compat";
import { edgesInto, edgeTarget } from "../graph";
import { itemOf } from "../items";
import { changeLayout, EMPTY_LAYOUT, type Layout } from "../layout";
import { type Link, linkOf, parseLink, type Target } from "../links";
import { nodesOf, type Scope, withNodes } from "../scope";
import { inputOf, type NodeTypes, outputOf, typeOf } from "../spec";
import type { NodeEntry, Nodes, Workflow } from "../workflow";
import { demoteOutput, unlinkEnd } from "./blockPorts";
import { removeGroup, removeNote } from "./boxes";
import { disconnect } from "./links";
import { mapLayout, mapLinks, mapOutputs, mapTargets, remap } from "./references";
import { removeReroute } from "./reroutes";

export interface RemoveOptions {
  /** Link what fed a removed node to what it fed, where the types fit. */
  readonly reconnect?: boolean;
  /** Needed for that. */
  readonly types?: NodeTypes | null;
}

export function removeNodes(
  workflow: Workflow,
  scope: Scope,
  names: Iterable<string>,
  { reconnect = false, types = null }: RemoveOptions = {},
): Workflow {
  const nodes = nodesOf(workflow, scope);
  const gone = new Set([...names].filter((name) => nodes.has(name)));
  if (gone.size === 0) return workflow;
  const bridge = reconnect && types ? new Bridge(workflow, nodes, gone, types) : null;
  const left = remap<string, NodeEntry>(nodes, (name, entry) =>
    gone.has(name) ? null : [name, entry],
  );
  const relinked = mapLinks(left, (link, to) =>
    gone.has(link.node) ? (bridge?.standIn(link, bridge.wantedAt(to)) ?? null) : link,
  );
  let found = withNodes(workflow, scope, relinked);
  found = mapTargets(found, scope, (target) => (gone.has(target.node) ? null : target));
  found = withoutOutputs(found, scope, gone, bridge);
  return changeLayout(found, scope, (layout) =>
    withoutPoints(
      mapLayout(layout, (name) => (gone.has(name) ? null : name)),
      nodes,
      relinked,
    ),
  );
}

/** A block's outputs that came from removed nodes go, unless another output can stand for them. */
function withoutOutputs(
  workflow: Workflow,
  scope: Scope,
  gone: ReadonlySet<string>,
  bridge: Bridge | null,
): Workflow {
  if (scope === null) return workflow;
  let found = mapOutputs(workflow, scope, (link) =>
    gone.has(link.node) ? (bridge?.standIn(link, null) ?? link) : link,
  );
  for (const [name, text] of found.subgraphs.get(scope)?.outputs ?? []) {
    const link = parseLink(text);
    if (link && gone.has(link.node)) found = demoteOutput(found, scope, name);
  }
  return found;
}

/** Points belong to a link from one node to another; those of other links are forgotten. */
function withoutPoints(layout: Layout, before: Nodes, after: Nodes): Layout {
  const reroutes = remap(layout.reroutes, (id, points) => {
    const dot = id.indexOf(".");
    const [node, port] = [id.slice(0, dot), id.slice(dot + 1)];
    const was = linkOf(before.get(node)?.inputs.get(port));
    const is = linkOf(after.get(node)?.inputs.get(port));
    return was !== null && is?.node !== was.node ? null : [id, points];
  });
  return reroutes === layout.reroutes ? layout : { ...layout, reroutes };
}

/** Finds what can stand for the outputs of removed nodes: one of their own inputs. */
class Bridge {
  constructor(
    private readonly workflow: Workflow,
    private readonly nodes: Nodes,
    private readonly gone: ReadonlySet<string>,
    private readonly types: NodeTypes,
  ) {}

  /** The type that an input takes. */
  wantedAt({ node, port }: Target): string | null {
    const spec = this.specOf(node);
    return (spec && inputOf(spec, port)?.type) ?? null;
  }

  /** A link from a node that stays; of the same type as the removed output, or one that fits. */
  standIn(link: Link, wanted: string | null, seen: ReadonlySet<string> = new Set()): Link | null {
    if (!this.gone.has(link.node)) return link;
    if (seen.has(link.node)) return null;
    const given = this.givenBy(link);
    const entry = this.nodes.get(link.node);
    if (given === null || !entry) return null;
    const sources = edgesInto(link.node, entry)
      .map((edge) => this.standIn(edge.from, given, new Set(seen).add(link.node)))
      .filter((found): found is Link => found !== null && this.nodes.has(found.node));
    return (
      sources.find((source) => this.givenBy(source) === given) ??
      sources.find((source) => this.fits(source, wanted ?? given)) ??
      null
    );
  }

  private fits(source: Link, wanted: string): boolean {
    const type = this.givenBy(source);
    if (type === null) return false;
    const found = fit(this.types, { type }, { type: wanted });
    return found.fits && found.conversion === null && !found.maps;
  }

  private givenBy({ node, port }: Link): string | null {
    const spec = this.specOf(node);
    return (spec && outputOf(spec, port)?.type) ?? null;
  }

  private specOf(node: string) {
    const entry = this.nodes.get(node);
    return entry ? typeOf(this.types, this.workflow, entry) : null;
  }
}

/** Take away whatever is selected: nodes, links, groups, notes, points of links. */
export function removeItems(
  workflow: Workflow,
  scope: Scope,
  items: Iterable<string>,
  options: RemoveOptions = {},
): Workflow {
  const all = [...items].map(itemOf);
  const names = all.flatMap((item) => (item.kind === "node" ? [item.name] : []));
  const gone = new Set(names);
  // Links of nodes that go are looked after with these, which may reconnect them.
  const isLoose = (link: Link | null): boolean => link === null || !gone.has(link.node);
  const nodes = nodesOf(workflow, scope);
  const edges = all.flatMap((item) => {
    if (item.kind !== "edge") return [];
    const to = edgeTarget(item.id);
    const from = linkOf(nodes.get(to.node)?.inputs.get(to.port));
    return isLoose(to) && isLoose(from) ? [item.id] : [];
  });
  const points = all
    .flatMap((item) => (item.kind === "reroute" ? [item] : []))
    .sort((a, b) => b.index - a.index);
  let found = workflow;
  for (const { edge, index } of points) found = removeReroute(found, scope, edge, index);
  for (const item of all) {
    const isLink = item.kind === "endLink" && isLoose(parseLink(item.target));
    if (isLink && scope !== null) found = unlinkEnd(found, scope, item);
  }
  found = removeNodes(disconnect(found, scope, edges), scope, names, options);
  for (const item of all) {
    if (item.kind === "group") found = removeGroup(found, scope, item.id);
    if (item.kind === "note") found = removeNote(found, scope, item.id);
  }
  return found;
}

/** An empty graph; the title and what isn't of the graph stay. */
export function clearGraph(workflow: Workflow, scope: Scope): Workflow {
  const emptied = removeNodes(workflow, scope, nodesOf(workflow, scope).keys());
  return changeLayout(emptied, scope, (layout) =>
    layout === EMPTY_LAYOUT ? layout : { ...EMPTY_LAYOUT, ends: layout.ends },
  );
}
