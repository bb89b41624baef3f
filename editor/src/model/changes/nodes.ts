/** What was done to the nodes of one graph. */
import { type Json, sameJson } from "../json";
import { isLink, linkOf, linkText, literalOf } from "../links";
import { nodesOf, type Scope } from "../scope";
import { defaultOf, inputOf, type NodeTypes, typeOf } from "../spec";
import type { NodeEntry, Nodes, Workflow } from "../workflow";
import { type Change, listed } from "./change";
import { valueTexts } from "./values";

/** What both states are, and the types that say what an input that isn't given is. */
export interface Compared {
  readonly before: Workflow;
  readonly after: Workflow;
  readonly types: NodeTypes | null;
}

export function nodeChanges(compared: Compared, from: Scope, scope: Scope): readonly Change[] {
  const [before, after] = [nodesOf(compared.before, from), nodesOf(compared.after, scope)];
  if (before === after) return [];
  const names = renamings(before, after);
  const found: Change[] = [
    ...gone(before, after, names, scope),
    ...come(before, after, names, scope),
    ...[...names].map(([was, name]) => ({
      says: "renamed",
      values: { was, name },
      scope,
      node: name,
    })),
  ];
  const graph: Graph = { compared, after, names, scope };
  for (const [name, entry] of before) {
    const now = after.get(names.get(name) ?? name);
    if (now !== undefined && now !== entry) {
      found.push(...ofOne(graph, names.get(name) ?? name, entry, now));
    }
  }
  return found;
}

/** What is known of a graph when its nodes are compared. */
interface Graph {
  readonly compared: Compared;
  readonly after: Nodes;
  /** Of renamed nodes, by the old one. */
  readonly names: Names;
  readonly scope: Scope;
}

/** Nodes that are the same under another name. */
function renamings(before: Nodes, after: Nodes): ReadonlyMap<string, string> {
  const left = new Map([...after].filter(([name]) => !before.has(name)).map(([n, e]) => [e, n]));
  const found = new Map<string, string>();
  for (const [name, entry] of before) {
    const now = after.has(name) ? undefined : left.get(entry);
    if (now !== undefined) found.set(name, now);
  }
  return found;
}

type Names = ReadonlyMap<string, string>;

function gone(before: Nodes, after: Nodes, names: Names, scope: Scope): readonly Change[] {
  const nodes = [...before].filter(([name]) => !after.has(name) && !names.has(name));
  return counted("removed", nodes, scope).map((change) => ({ ...change, node: null }));
}

function come(before: Nodes, after: Nodes, names: Names, scope: Scope): readonly Change[] {
  const renamed = new Set(names.values());
  const nodes = [...after].filter(([name]) => !before.has(name) && !renamed.has(name));
  return counted("added", nodes, scope);
}

function counted(
  says: string,
  nodes: readonly (readonly [string, NodeEntry])[],
  scope: Scope,
): readonly Change[] {
  if (nodes.length === 0) return [];
  const values = { count: nodes.length, names: listed(nodes.map(([, entry]) => titleOf(entry))) };
  return [{ says, values, scope, node: nodes.length === 1 ? (nodes[0]?.[0] ?? null) : null }];
}

/** What people call a node: its label, or else its type without its pack. */
function titleOf(entry: Pick<NodeEntry, "label" | "type">): string {
  return entry.label || shortType(entry.type);
}

function shortType(type: string): string {
  return type.slice(type.lastIndexOf(":") + 1);
}

function ofOne(graph: Graph, node: string, before: NodeEntry, after: NodeEntry): readonly Change[] {
  const found: Change[] = [];
  const say = (says: string, values: Change["values"] = {}) =>
    found.push({ says, values: { node, ...values }, scope: graph.scope, node });
  if (before.type !== after.type)
    say("type", { was: shortType(before.type), name: shortType(after.type) });
  for (const port of new Set([...before.inputs.keys(), ...after.inputs.keys()])) {
    const [was, now] = [before.inputs.get(port), after.inputs.get(port)];
    const change = sameJson(was, now) ? null : ofInput(graph, after, port, was, now);
    if (change !== null) say(change.says, { port, ...change.values });
  }
  if (before.mode !== after.mode) say(`mode.${after.mode ?? "none"}`);
  if (before.always !== after.always) say(after.always ? "always" : "notAlways");
  if (before.label !== after.label) say("label", { label: titleOf(after) });
  if (before.note !== after.note) say("note");
  return found;
}

function ofInput(
  { compared, after, names }: Graph,
  entry: NodeEntry,
  port: string,
  was: Json | undefined,
  now: Json | undefined,
): Pick<Change, "says" | "values"> | null {
  const [left, right] = [linkOf(was), linkOf(now)];
  const source = left && { ...left, node: names.get(left.node) ?? left.node };
  if (right !== null) {
    const isRenamed = source !== null && linkText(source) === linkText(right);
    return isRenamed ? null : { says: "linked", values: { from: linkText(right) } };
  }
  if (isLink(was)) {
    // The link went with the node that it came from.
    if (source !== null && !after.has(source.node)) return null;
    return { says: "unlinked", values: { from: source === null ? "" : linkText(source) } };
  }
  const usual = usualOf(compared, entry, port);
  const [from, to] = [literalOf(was) ?? usual, literalOf(now) ?? usual];
  if (to === undefined) return { says: "reset", values: {} };
  if (from === undefined) return { says: "given", values: { to: valueTexts("", to)[1] } };
  const [fromText, toText] = valueTexts(from, to);
  return { says: "value", values: { from: fromText, to: toText } };
}

/** What counts where an input isn't given; undefined if nothing does, or that isn't known. */
function usualOf({ after, types }: Compared, entry: NodeEntry, port: string): Json | undefined {
  const spec = types && typeOf(types, after, entry);
  const input = spec && inputOf(spec, port);
  return input ? defaultOf(input) : undefined;
}
