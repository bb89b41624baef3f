/** Values of one workflow put into another that has the same nodes, or the same parameters. */
import { sameJson } from "./json";
import { isLink, targetOf } from "./links";
import { nodesOf, type Scope, scopesOf, withNode } from "./scope";
import { inputOf, type NodeTypes, typeOf } from "./spec";
import type { NodeEntry, Workflow } from "./workflow";

/** Why a value couldn't be taken: there is no such node, or port, or it is linked there. */
export type Obstacle = "node" | "type" | "port" | "linked";

export interface Left {
  /** "node.port", within a block "block › node.port". */
  readonly place: string;
  readonly why: Obstacle;
}

export interface Taken {
  readonly workflow: Workflow;
  /** Places whose value has changed. */
  readonly changed: readonly string[];
  readonly left: readonly Left[];
}

/**
 * The values that `from` was run with, put into `to`: by node and port, and by the names of parameters
 * where the node is called otherwise. What `from` left to defaults is left to them.
 */
export function takeValues(from: Workflow, to: Workflow, types: NodeTypes | null): Taken {
  let workflow = to;
  const changed: string[] = [];
  const left: Left[] = [];
  const put = (scope: Scope, name: string, inputs: NodeEntry["inputs"]) => {
    workflow = withNode(workflow, scope, name, (entry) => ({ ...entry, inputs }));
  };
  for (const scope of scopesOf(from)) {
    const there = nodesOf(to, scope);
    for (const [name, entry] of nodesOf(from, scope)) {
      const own = there.get(name);
      if (own === undefined || own.type !== entry.type) {
        const why = own === undefined ? "node" : "type";
        for (const port of literalsOf(entry)) left.push({ place: place(scope, name, port), why });
        continue;
      }
      const inputs = new Map(own.inputs);
      const before = changed.length;
      for (const port of new Set([...literalsOf(entry), ...literalsOf(own)])) {
        const [value, old] = [entry.inputs.get(port), own.inputs.get(port)];
        if (sameJson(value, old) || isLink(value)) continue;
        const obstacle = isLink(old) ? "linked" : hasPort(types, to, own, port) ? null : "port";
        if (obstacle !== null) {
          if (value !== undefined) left.push({ place: place(scope, name, port), why: obstacle });
          continue;
        }
        if (value === undefined) inputs.delete(port);
        else inputs.set(port, value);
        changed.push(place(scope, name, port));
      }
      if (changed.length > before) put(scope, name, inputs);
    }
  }
  return byParameters(from, { workflow, changed, left }, types);
}

/** Values of nodes that aren't there, where a parameter of the same name leads to another one. */
function byParameters(from: Workflow, taken: Taken, types: NodeTypes | null): Taken {
  let { workflow } = taken;
  const changed = [...taken.changed];
  const solved = new Set<string>();
  for (const [name, { input }] of from.parameters) {
    const isLeft = taken.left.some((each) => each.place === input && each.why !== "linked");
    const [source, target] = [
      targetOf(input),
      targetOf(workflow.parameters.get(name)?.input ?? ""),
    ];
    if (!isLeft || source === null || target === null) continue;
    const value = from.nodes.get(source.node)?.inputs.get(source.port);
    const entry = workflow.nodes.get(target.node);
    const old = entry?.inputs.get(target.port);
    if (value === undefined || entry === undefined || isLink(old)) continue;
    if (!hasPort(types, workflow, entry, target.port)) continue;
    solved.add(input);
    if (sameJson(value, old)) continue;
    workflow = withNode(workflow, null, target.node, (each) => ({
      ...each,
      inputs: new Map(each.inputs).set(target.port, value),
    }));
    changed.push(`${target.node}.${target.port}`);
  }
  return { workflow, changed, left: taken.left.filter((each) => !solved.has(each.place)) };
}

function literalsOf({ inputs }: NodeEntry): readonly string[] {
  return [...inputs].flatMap(([port, value]) => (isLink(value) ? [] : [port]));
}

function place(scope: Scope, node: string, port: string): string {
  return `${scope === null ? "" : `${scope} › `}${node}.${port}`;
}

/** Without its type, a node has the ports that it is given. */
function hasPort(
  types: NodeTypes | null,
  workflow: Workflow,
  entry: NodeEntry,
  port: string,
): boolean {
  const spec = types && typeOf(types, workflow, entry);
  return spec ? inputOf(spec, port) !== null : entry.inputs.has(port);
}
