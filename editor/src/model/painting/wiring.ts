/** Which outputs come to which inputs of a graph: over bypassed nodes, and into and out of blocks. */
import { edgesOf } from "../graph";
import { keptIn } from "../kept";
import { type Link, linkOf, parseLink, type Target, targetOf } from "../links";
import { nodesOf, type Scope } from "../scope";
import { type NodeSpec, type NodeTypes, typeOf } from "../spec";
import type { NodeEntry, Nodes, Workflow } from "../workflow";

/** A node's input that a flow comes to, and how it came there. */
export interface Reached extends Target {
  readonly type: string;
  /** The nodes that it passed, the first one first; blocks count as one. */
  readonly passed: readonly string[];
  /** How many nodes it passed, those within blocks included. */
  readonly depth: number;
  /** Whether the node is in the graph itself, and not within a block of it. */
  readonly isHere: boolean;
}

export class Wiring {
  private readonly users: ReadonlyMap<string, readonly Target[]>;

  constructor(
    readonly workflow: Workflow,
    readonly scope: Scope,
    readonly types: NodeTypes,
  ) {
    const users = new Map<string, Target[]>();
    for (const { from, to } of edgesOf(this.nodes)) {
      const key = this.key(from);
      const known = users.get(key);
      if (known) known.push(to);
      else users.set(key, [to]);
    }
    this.users = users;
  }

  get nodes(): Nodes {
    return nodesOf(this.workflow, this.scope);
  }

  entry(node: string): NodeEntry | null {
    return this.nodes.get(node) ?? null;
  }

  spec(node: string): NodeSpec | null {
    const entry = this.entry(node);
    return entry && typeOf(this.types, this.workflow, entry);
  }

  /** A link with the name of its port, also where files leave it out. */
  full({ node, port }: Link): Link {
    const [only, ...others] = port === "" ? (this.spec(node)?.outputs ?? []) : [];
    return only && others.length === 0 ? { node, port: only.name } : { node, port };
  }

  /** The output that an input is linked to, if that is there. */
  source({ node, port }: Target): Link | null {
    const link = linkOf(this.entry(node)?.inputs.get(port));
    return link && this.nodes.has(link.node) ? this.full(link) : null;
  }

  /**
   * The output whose value an input gets: bypassed nodes hand on what they are given.
   *
   * @param isKept Whether a node counts though it is bypassed.
   */
  resolved(to: Target, isKept: (entry: NodeEntry) => boolean = () => false): Link | null {
    const isPassed = (entry: NodeEntry | null) => entry?.mode === "bypass" && !isKept(entry);
    let link = this.source(to);
    const seen = new Set<string>();
    while (link && isPassed(this.entry(link.node))) {
      if (seen.has(link.node)) return null;
      seen.add(link.node);
      link = this.standIn(link);
    }
    return link;
  }

  /** The inputs that an output is linked to, in the order of the file. */
  targets(link: Link): readonly Target[] {
    return this.users.get(this.key(this.full(link))) ?? [];
  }

  isUsed(node: string): boolean {
    const outputs = this.spec(node)?.outputs ?? [];
    return outputs.some(({ name }) => this.targets({ node, port: name }).length > 0);
  }

  /** All inputs that an output comes to by way of nodes that hand on values of these types. */
  flow(from: Link, types: readonly string[]): readonly Reached[] {
    const found: Reached[] = [];
    const seen = new Set<string>();
    const start = this.full(from);
    this.follow(start, NOWHERE, types, seen, (reached) => found.push(reached), []);
    return found;
  }

  private follow(
    from: Link,
    way: Way,
    types: readonly string[],
    seen: Set<string>,
    visit: (reached: Reached) => void,
    outer: readonly Outer[],
  ): void {
    const at = `${outer.map(({ node }) => node).join("/")}/${this.key(from)}`;
    if (seen.has(at)) return;
    seen.add(at);
    for (const to of this.targets(from)) {
      this.come(to, way, types, seen, visit, outer);
    }
    // What a block gives comes to the users of the block.
    const [last, ...others] = outer.toReversed();
    const outputs = last === undefined ? [] : (this.block()?.outputs ?? []);
    for (const [name, text] of outputs) {
      const link = parseLink(text);
      if (!last || !link || this.key(this.full(link)) !== this.key(from)) continue;
      const given = { node: last.node, port: name };
      last.wiring.follow(given, way, types, seen, visit, others.toReversed());
    }
  }

  private come(
    to: Target,
    way: Way,
    types: readonly string[],
    seen: Set<string>,
    visit: (reached: Reached) => void,
    outer: readonly Outer[],
  ): void {
    const type = this.entry(to.node)?.type ?? "";
    visit({ ...to, type, ...way, isHere: outer.length === 0 });
    const passed = outer.length === 0 ? [...way.passed, to.node] : way.passed;
    const next = { passed, depth: way.depth + 1 };
    const inner = this.within(type);
    if (inner !== null) {
      const into = [...outer, { wiring: this, node: to.node }];
      for (const target of this.workflow.subgraphs.get(type)?.inputs.get(to.port)?.to ?? []) {
        const place = targetOf(target);
        if (place && into.length < DEEPEST) inner.come(place, next, types, seen, visit, into);
      }
      return;
    }
    for (const { name, type: given } of this.spec(to.node)?.outputs ?? []) {
      if (types.includes(given))
        this.follow({ node: to.node, port: name }, next, types, seen, visit, outer);
    }
  }

  private block() {
    return this.scope === null ? null : (this.workflow.subgraphs.get(this.scope) ?? null);
  }

  /** The wiring of a block's own graph; null for what is no block. */
  private within(type: string): Wiring | null {
    if (!this.workflow.subgraphs.has(type)) return null;
    return wiringOf(this.workflow, type, this.types);
  }

  /** What stands for an output of a bypassed node: its first linked input of the same type. */
  private standIn({ node, port }: Link): Link | null {
    const spec = this.spec(node);
    const wanted = spec?.outputs.find(({ name }) => name === port)?.type;
    const fitting = spec?.inputs.filter(({ type }) => type === wanted) ?? [];
    for (const { name } of fitting) {
      const link = this.source({ node, port: name });
      if (link) return link;
    }
    return null;
  }

  private key({ node, port }: Link): string {
    const full = this.full({ node, port });
    return `${full.node}.${full.port}`;
  }
}

/** A block that was entered, by its node in the graph around it. */
interface Outer {
  readonly wiring: Wiring;
  readonly node: string;
}

/** What a flow has passed so far. */
type Way = Pick<Reached, "passed" | "depth">;

const NOWHERE: Way = { passed: [], depth: 0 };
const DEEPEST = 16;
const known = new WeakMap<Workflow, Map<Scope, Wiring>>();

export function wiringOf(workflow: Workflow, scope: Scope, types: NodeTypes): Wiring {
  const scopes = keptIn(known, workflow, () => new Map<Scope, Wiring>());
  const found = scopes.get(scope);
  if (found && found.types === types) return found;
  const wiring = new Wiring(workflow, scope, types);
  scopes.set(scope, wiring);
  return wiring;
}
