/** A selection becomes a block, and one node that uses it takes its place. */
import { EditFault } from "../fault";
import { downstream, edgeId, edgesOf, upstream } from "../graph";
import type { Json } from "../json";
import { changeLayout, type Layout, type Point } from "../layout";
import {
  isLink,
  type Link,
  linkJson,
  linkText,
  parseLink,
  type Target,
  targetOf,
  targetText,
} from "../links";
import { freeName, nameForType } from "../names";
import { nodesOf, type Scope, withNodes, withSubgraph } from "../scope";
import { separated } from "../separate";
import { type NodeTypes, typeOf } from "../spec";
import {
  emptyNode,
  NOTHING,
  type NodeEntry,
  type Nodes,
  type SubgraphInput,
  type Workflow,
} from "../workflow";
import { extract, type Fragment } from "./fragment";
import { mapLayout, mapLinks, mapOutputs, mapTargets, remap } from "./references";

export function makeSubgraph(
  workflow: Workflow,
  scope: Scope,
  items: Iterable<string>,
  name: string,
  types: NodeTypes | null,
): { workflow: Workflow; node: string; subgraph: string } {
  const picked = [...items];
  const fragment = extract(workflow, scope, picked);
  if (fragment.nodes.size === 0) throw new EditFault("nothing-selected");
  refuseDetours(nodesOf(workflow, scope), fragment.nodes);
  const subgraph = freeName(name.trim() || "Block", {
    has: (given) => workflow.subgraphs.has(given) || (types?.byName.has(given) ?? false),
  });
  const left = new Set(
    [...nodesOf(workflow, scope).keys()].filter((it) => !fragment.nodes.has(it)),
  );
  const node = freeName(nameForType(subgraph), left);
  const making = new Making(workflow, scope, fragment, types);
  const made = making.run(node, subgraph, new Set(picked));
  return { workflow: separated(made, scope, types, [node]), node, subgraph };
}

/** What leaves the selection and comes back would run in a circle. */
function refuseDetours(nodes: Nodes, inner: Nodes): void {
  const after = downstream(nodes, inner.keys());
  const before = upstream(nodes, inner.keys());
  const between = [...after].filter((name) => before.has(name) && !inner.has(name));
  if (between.length > 0) throw new EditFault("goes-outside-and-back", between);
}

class Making {
  private readonly inputs = new Map<string, SubgraphInput>();
  private readonly outputs = new Map<string, string>();
  /** What the node that uses the block is given. */
  private readonly given = new Map<string, Json>();
  /** Values that go from the inner inputs to that node, by "node.port". */
  private readonly moved = new Set<string>();
  private readonly inputNames = new Map<string, string>();
  private readonly outputNames = new Map<string, string>();

  constructor(
    private readonly workflow: Workflow,
    private readonly scope: Scope,
    private readonly fragment: Fragment,
    private readonly types: NodeTypes | null,
  ) {}

  run(node: string, subgraph: string, picked: ReadonlySet<string>): Workflow {
    const nodes = nodesOf(this.workflow, this.scope);
    this.collectVaried();
    this.collectLinked();
    this.collectOutputs(nodes);
    const block = {
      inputs: this.inputs,
      outputs: this.outputs,
      nodes: this.innerNodes(),
      extra: NOTHING,
    };
    const entry = { ...emptyNode(subgraph), inputs: this.given };
    let found = withSubgraph(this.workflow, subgraph, block);
    found = changeLayout(found, subgraph, () => this.fragment.layout);
    found = withNodes(found, this.scope, this.outerNodes(nodes, node, entry));
    found = mapTargets(found, this.scope, (target) => this.outerTarget(node, target));
    found = mapOutputs(found, this.scope, (link) => this.outerLink(node, link));
    return changeLayout(found, this.scope, (layout) => this.outerLayout(layout, node, picked));
  }

  /** Inner inputs that parameters or the outer block's inputs lead to: one input for each. */
  private collectVaried(): void {
    for (const text of this.variedTargets()) {
      const target = targetOf(text);
      if (!target || !this.fragment.nodes.has(target.node) || this.inputNames.has(text)) continue;
      const name = this.addInput(target);
      const outer = this.fragment.outer.get(text);
      const value = this.fragment.nodes.get(target.node)?.inputs.get(target.port);
      if (outer) this.given.set(name, linkJson(outer));
      else if (value !== undefined && !isLink(value)) {
        this.given.set(name, value);
        this.moved.add(text);
      }
    }
  }

  private variedTargets(): readonly string[] {
    if (this.scope === null)
      return [...this.workflow.parameters.values()].map((item) => item.input);
    const block = this.workflow.subgraphs.get(this.scope);
    return [...(block?.inputs.values() ?? [])].flatMap((input) => input.to);
  }

  /** Inner inputs that are linked from outside: one input for each output they come from. */
  private collectLinked(): void {
    const names = new Map<string, string>();
    for (const [id, link] of this.fragment.outer) {
      const target = targetOf(id);
      if (!target || this.inputNames.has(id)) continue;
      const source = linkText(link);
      const name = this.addInput(target, names.get(source));
      names.set(source, name);
      this.given.set(name, linkJson(link));
    }
  }

  private addInput(target: Target, known?: string): string {
    const name = known ?? freeName(target.port, this.inputs);
    const before = this.inputs.get(name);
    const to = [...(before?.to ?? []), targetText(target)];
    this.inputs.set(name, { type: "", help: "", extra: NOTHING, ...before, to });
    this.inputNames.set(targetText(target), name);
    return name;
  }

  private collectOutputs(nodes: Nodes): void {
    for (const { from, to } of edgesOf(nodes)) {
      if (!this.fragment.nodes.has(to.node)) this.addOutput(from);
    }
    if (this.scope === null) return;
    for (const text of this.workflow.subgraphs.get(this.scope)?.outputs.values() ?? []) {
      const link = parseLink(text);
      if (link) this.addOutput(link);
    }
  }

  private addOutput(link: Link): void {
    if (!this.fragment.nodes.has(link.node)) return;
    const source = this.fullName(link);
    if (this.outputNames.has(source)) return;
    const name = freeName(source.slice(source.indexOf(".") + 1), this.outputs);
    this.outputNames.set(source, name);
    this.outputs.set(name, linkText(link));
  }

  /** "node.port" even where the file leaves out the port; "node" where that isn't known. */
  private fullName(link: Link): string {
    if (link.port !== "") return linkText(link);
    const entry = this.fragment.nodes.get(link.node);
    const spec = entry && this.types ? typeOf(this.types, this.workflow, entry) : null;
    return linkText({ node: link.node, port: spec?.outputs[0]?.name ?? "" });
  }

  private innerNodes(): Nodes {
    return remap<string, NodeEntry>(this.fragment.nodes, (name, entry) => {
      const inputs = remap<string, Json>(entry.inputs, (port, value) =>
        this.moved.has(edgeId(name, port)) ? null : [port, value],
      );
      return [name, inputs === entry.inputs ? entry : { ...entry, inputs }];
    });
  }

  /** The other nodes, and the new one where the first of the selection stood. */
  private outerNodes(nodes: Nodes, node: string, entry: NodeEntry): Nodes {
    const found = new Map<string, NodeEntry>();
    for (const [name, other] of nodes) {
      if (!this.fragment.nodes.has(name)) found.set(name, other);
      else if (!found.has(node)) found.set(node, entry);
    }
    return mapLinks(found, (link, to) => (to.node === node ? link : this.outerLink(node, link)));
  }

  private outerLink(node: string, link: Link): Link {
    if (!this.fragment.nodes.has(link.node)) return link;
    const port = this.outputNames.get(this.fullName(link)) ?? "";
    return { node, port: this.outputs.size === 1 ? "" : port };
  }

  private outerTarget(node: string, target: Target): Target | null {
    if (!this.fragment.nodes.has(target.node)) return target;
    const port = this.inputNames.get(targetText(target));
    return port === undefined ? null : { node, port };
  }

  private outerLayout(layout: Layout, node: string, picked: ReadonlySet<string>): Layout {
    const isInner = (name: string): boolean => this.fragment.nodes.has(name);
    const rest = mapLayout(layout, (name) => (isInner(name) ? null : name));
    const middle = middleOf(this.fragment.layout);
    const isLeft = (kind: string) => (item: { readonly id: string }) =>
      !picked.has(`${kind}/${item.id}`);
    return {
      ...rest,
      positions: middle ? new Map(rest.positions).set(node, middle) : rest.positions,
      groups: rest.groups.filter(isLeft("group")),
      notes: rest.notes.filter(isLeft("note")),
    };
  }
}

/** The mean place of a layout's nodes. */
export function middleOf(layout: Layout): Point | null {
  const points = [...layout.positions.values()];
  if (points.length === 0) return null;
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return {
    x: Math.round(sum(points.map((point) => point.x)) / points.length),
    y: Math.round(sum(points.map((point) => point.y)) / points.length),
  };
}
