/**
 * What flows along links: the types that outputs really give, lists included where a node runs over
 * one, through blocks and into loops; and whether a link may be drawn.
 */

import { t } from "@/i18n";
import { type Fit, fit, wayBetween } from "./compat";
import { wouldCycle } from "./graph";
import type { Json } from "./json";
import { keptIn } from "./kept";
import { type Link, linkOf, parseLink, type Target } from "./links";
import { nodesOf, type Scope } from "./scope";
import {
  bodyNameOf,
  inputOf,
  labelOf,
  type NodeSpec,
  type NodeTypes,
  outputOf,
  typeOf,
} from "./spec";
import { ANY, fillIn, inLists } from "./types";
import type { NodeEntry, Workflow } from "./workflow";

const DEEPEST = 32;

/** What an output gives; null if the node or the output isn't known. */
export function outputType(
  types: NodeTypes,
  workflow: Workflow,
  scope: Scope,
  link: Link,
): string | null {
  return flowOf(types, workflow, scope).output(link);
}

/** Whether this output may be linked to that input, and if not why. */
export function linkFit(
  types: NodeTypes,
  workflow: Workflow,
  scope: Scope,
  from: Link,
  to: Target,
): Fit {
  const nodes = nodesOf(workflow, scope);
  const source = specIn(types, workflow, nodes, from.node);
  const target = specIn(types, workflow, nodes, to.node);
  if (!source || !target) {
    return { fits: false, reason: t("fit.unknownNode", { node: source ? to.node : from.node }) };
  }
  const output = outputOf(source, from.port);
  const input = inputOf(target, to.port);
  if (!output) return refused("fit.noOutput", labelOf(source), from.port);
  if (!input) return refused("fit.noInput", labelOf(target), to.port);
  if (input.body !== null) return { fits: false, reason: t("fit.nameNeeded") };
  if (from.node === to.node || wouldCycle(nodes, from.node, to.node)) {
    return { fits: false, reason: t("fit.cycle") };
  }
  const type = outputType(types, workflow, scope, from) ?? output.type;
  const port = `${target.type}.${input.name}`;
  return fit(types, { type, node: source }, { type: input.type, port });
}

/** Each input of a node that a link is in, with how its value gets there. */
export function fitsOf(
  types: NodeTypes,
  workflow: Workflow,
  scope: Scope,
  node: string,
): ReadonlyMap<string, Fit> {
  const found = new Map<string, Fit>();
  const entry = nodesOf(workflow, scope).get(node);
  const spec = entry && typeOf(types, workflow, entry);
  if (!entry || !spec) return found;
  for (const [port, value] of entry.inputs) {
    const link = linkOf(value);
    const input = inputOf(spec, port);
    const type = link && outputType(types, workflow, scope, link);
    if (input && type) found.set(port, fit(types, { type }, input));
  }
  return found;
}

function refused(key: string, node: string, port: string): Fit {
  return { fits: false, reason: t(key, { node, port }) };
}

function specIn(
  types: NodeTypes,
  workflow: Workflow,
  nodes: ReadonlyMap<string, NodeEntry>,
  name: string,
): NodeSpec | null {
  const entry = nodes.get(name);
  return entry ? typeOf(types, workflow, entry) : null;
}

type Nodes = ReadonlyMap<string, NodeEntry>;

// A flow holds for as long as the nodes and the blocks are the same objects.
const flows = new WeakMap<NodeTypes, WeakMap<Nodes, Flow>>();

function flowOf(types: NodeTypes, workflow: Workflow, scope: Scope): Flow {
  const ofTypes = keptIn(flows, types, () => new WeakMap<Nodes, Flow>());
  const nodes = nodesOf(workflow, scope);
  const found = ofTypes.get(nodes);
  if (found && found.workflow.subgraphs === workflow.subgraphs) return found;
  const flow = new Flow(types, workflow, scope, declaredInputs(workflow, scope), 0);
  ofTypes.set(nodes, flow);
  return flow;
}

/** What a block's inputs are given as far as its own definition says. */
function declaredInputs(workflow: Workflow, scope: Scope): Given {
  const block = scope === null ? undefined : workflow.subgraphs.get(scope);
  const given = new Map<string, string>();
  for (const port of block?.inputs.values() ?? []) {
    for (const target of port.to) if (port.type !== "") given.set(target, port.type);
  }
  return given;
}

/** Types that come from outside, by "node.port" of the inner input. */
type Given = ReadonlyMap<string, string>;

/** One graph with what flows in it; outputs are worked out when asked for. */
class Flow {
  private readonly depths = new Map<string, number>();
  private readonly inner = new Map<string, Flow>();
  private readonly nodes: Nodes;

  constructor(
    private readonly types: NodeTypes,
    readonly workflow: Workflow,
    scope: Scope,
    private readonly given: Given,
    private readonly level: number,
  ) {
    this.nodes = nodesOf(workflow, scope);
  }

  output(link: Link): string | null {
    const entry = this.nodes.get(link.node);
    const spec = entry && typeOf(this.types, this.workflow, entry);
    const port = spec && outputOf(spec, link.port);
    if (!entry || !spec || !port) return null;
    const block = this.workflow.subgraphs.get(entry.type);
    if (block && this.level < DEEPEST) {
      const source = block.outputs.get(port.name);
      return this.ofBlock(link.node, entry.type, spec, entry).outputText(source) ?? port.type;
    }
    return inLists(
      this.filled(link.node, entry, spec, port.name, port.type),
      this.depth(link.node),
    );
  }

  private outputText(source: string | undefined): string | null {
    if (source === undefined) return null;
    const link = parseLink(source);
    return link && this.output(link);
  }

  /** What an output of a loop gives: of its subgraph's own type, lists that arise inside included. */
  private filled(
    node: string,
    entry: NodeEntry,
    spec: NodeSpec,
    port: string,
    type: string,
  ): string {
    const name = bodyNameOf(spec, entry.inputs);
    const block = this.workflow.subgraphs.get(name);
    const body = spec.inputs.find((input) => input.body !== null)?.body;
    if (!body || !block || this.level >= DEEPEST) return type;
    const plain = this.types.byName.get(entry.type);
    const declared = plain?.outputs.find((item) => item.name === port)?.type;
    const made = Object.entries(body.outputs).find(([, own]) => own.includes(port));
    if (!made || declared === undefined) return type;
    const key = `${node}\nbody`;
    let inside = this.inner.get(key);
    if (!inside) {
      const given = declaredInputs(this.workflow, name);
      inside = new Flow(this.types, this.workflow, name, given, this.level + 1);
      this.inner.set(key, inside);
    }
    return fillIn(declared, inside.outputText(block.outputs.get(made[0])) ?? ANY);
  }

  /** A block's inside with what this use of it is given. */
  private ofBlock(node: string, name: string, spec: NodeSpec, entry: NodeEntry): Flow {
    const known = this.inner.get(node);
    if (known) return known;
    const given = new Map<string, string>();
    for (const [port, input] of this.workflow.subgraphs.get(name)?.inputs ?? []) {
      const type = this.inputType(node, port, entry.inputs.get(port)) ?? inputOf(spec, port)?.type;
      if (type !== undefined) for (const target of input.to) given.set(target, type);
    }
    const flow = new Flow(this.types, this.workflow, name, given, this.level + 1);
    this.inner.set(node, flow);
    return flow;
  }

  private inputType(node: string, port: string, value: Json | undefined): string | null {
    const link = linkOf(value);
    if (link !== null) return this.output(link);
    return value === undefined ? (this.given.get(`${node}.${port}`) ?? null) : null;
  }

  /** Levels of lists that a node is run over. */
  private depth(node: string): number {
    const known = this.depths.get(node);
    if (known !== undefined) return known;
    this.depths.set(node, 0); // while it isn't known: of a member of a cycle
    const entry = this.nodes.get(node);
    const spec = entry && typeOf(this.types, this.workflow, entry);
    let deepest = 0;
    for (const port of spec?.inputs ?? []) {
      const type = this.inputType(node, port.name, entry?.inputs.get(port.name));
      const way = type === null ? null : wayBetween(type, port.type, this.types.portTypes);
      deepest = Math.max(deepest, way?.depth ?? 0);
    }
    this.depths.set(node, deepest);
    return deepest;
  }
}
