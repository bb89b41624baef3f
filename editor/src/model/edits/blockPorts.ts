/** A block's own inputs and outputs, and what follows at the nodes that use the block. */
import { EditFault } from "../fault";
import type { EndLink } from "../items";
import { type Json, sameJson } from "../json";
import {
  isLink,
  type Link,
  linkText,
  parseLink,
  type Target,
  targetOf,
  targetText,
} from "../links";
import { freeName } from "../names";
import { nodeOf, nodesOf, type Scope, scopesOf, withNodes, withSubgraph } from "../scope";
import type { NodeTypes } from "../spec";
import { NOTHING, type Subgraph, type SubgraphInput, type Workflow } from "../workflow";
import { setInput } from "./inputs";
import { mapLinks, mapOutputs, remap, renamePort } from "./references";
import { type Use, usesOf } from "./uses";

function blockOf(workflow: Workflow, name: string): Subgraph {
  const block = workflow.subgraphs.get(name);
  if (!block) throw new EditFault("no-such-subgraph", [name]);
  return block;
}

/**
 * Lead an input of the block to an inner input: a new one, or one of the name that is given.
 *
 * A value that the inner input has stays there, as what is used where the block is given nothing.
 */
export function promoteInput(
  workflow: Workflow,
  block: string,
  target: Target,
  name?: string,
): { workflow: Workflow; name: string } {
  const before = blockOf(workflow, block);
  if (!before.nodes.has(target.node)) throw new EditFault("no-such-node", [target.node]);
  const text = targetText(target);
  const known = name === undefined ? undefined : before.inputs.get(name);
  const led = [...before.inputs].find(([, input]) => input.to.includes(text));
  if (led && (name === undefined || led[0] === name)) return { workflow, name: led[0] };
  const cleared = led ? unlinkInput(workflow, block, led[0], target) : workflow;
  const unlinked = withoutLink(cleared, block, target);
  const found = name ?? freeName(target.port, before.inputs);
  const input: SubgraphInput = known
    ? { ...known, to: [...known.to, text] }
    : { type: "", to: [text], help: "", extra: NOTHING };
  return { workflow: withInput(unlinked, block, found, input), name: found };
}

/** What comes from outside takes the place of a link inside. */
function withoutLink(workflow: Workflow, block: string, target: Target): Workflow {
  const value = nodeOf(workflow, block, target.node)?.inputs.get(target.port);
  return isLink(value) ? setInput(workflow, block, target.node, target.port, undefined) : workflow;
}

function withInput(
  workflow: Workflow,
  block: string,
  name: string,
  input: SubgraphInput,
): Workflow {
  const before = blockOf(workflow, block);
  return withSubgraph(workflow, block, {
    ...before,
    inputs: new Map(before.inputs).set(name, input),
  });
}

/** Take one inner input from an input of the block. */
export function unlinkInput(
  workflow: Workflow,
  block: string,
  name: string,
  target: Target,
): Workflow {
  const input = blockOf(workflow, block).inputs.get(name);
  const text = targetText(target);
  if (!input?.to.includes(text)) return workflow;
  const to = input.to.filter((item) => item !== text);
  return withInput(workflow, block, name, { ...input, to });
}

/** Take a link between a port of the block and a node inside away; an output goes with its link. */
export function unlinkEnd(
  workflow: Workflow,
  block: string,
  { end, port, target }: Pick<EndLink, "end" | "port" | "target">,
): Workflow {
  if (end === "outputs") return demoteOutput(workflow, block, port);
  const to = targetOf(target);
  return to ? unlinkInput(workflow, block, port, to) : workflow;
}

/**
 * Take an input away from the block, and from the nodes that use it.
 *
 * Its value goes to the inner inputs if it is the same everywhere: so the block does what it did.
 */
export function demoteInput(
  workflow: Workflow,
  block: string,
  name: string,
  types: NodeTypes | null = null,
): Workflow {
  const before = blockOf(workflow, block);
  const input = before.inputs.get(name);
  if (!input) return workflow;
  const uses = usesOf(workflow, block, types);
  const value = sharedValue(workflow, uses, name) ?? input.extra.get("default");
  const inputs = new Map(before.inputs);
  inputs.delete(name);
  let found = withSubgraph(workflow, block, { ...before, inputs });
  for (const target of value === undefined ? [] : input.to.map(targetOf)) {
    if (target) found = setInput(found, block, target.node, target.port, value);
  }
  for (const { scope, node } of uses) {
    found = renamePort(found, scope, nodesOf(found, scope), node, name, null);
  }
  return found;
}

/** The literal that all uses of a block give one of its inputs. */
function sharedValue(workflow: Workflow, uses: readonly Use[], name: string): Json | undefined {
  const [first, ...rest] = uses.map(({ scope, node }) =>
    nodeOf(workflow, scope, node)?.inputs.get(name),
  );
  if (first === undefined || isLink(first)) return undefined;
  return rest.every((value) => sameJson(value, first)) ? first : undefined;
}

export function renameInput(
  workflow: Workflow,
  block: string,
  from: string,
  to: string,
  types: NodeTypes | null = null,
): Workflow {
  const before = blockOf(workflow, block);
  if (from === to || !before.inputs.has(from)) return workflow;
  refuseName(to, before.inputs);
  const inputs = remap(before.inputs, (name, input) => [name === from ? to : name, input]);
  let found = withSubgraph(workflow, block, { ...before, inputs });
  for (const { scope, node } of usesOf(workflow, block, types)) {
    found = renamePort(found, scope, nodesOf(found, scope), node, from, to);
  }
  return found;
}

function refuseName(name: string, taken: { has(name: string): boolean }): void {
  if (name === "" || /[./]/.test(name)) throw new EditFault("bad-name", [name]);
  if (taken.has(name)) throw new EditFault("name-taken", [name]);
}

/** What an input of a block says; `default` null takes the default away. */
export function updateInput(
  workflow: Workflow,
  block: string,
  name: string,
  { default: value, ...changes }: InputChanges,
): Workflow {
  const before = blockOf(workflow, block).inputs.get(name);
  if (!before) return workflow;
  const extra = new Map(before.extra);
  if (value === null) extra.delete("default");
  else if (value !== undefined) extra.set("default", value);
  const after = { ...before, ...changes, extra: value === undefined ? before.extra : extra };
  const isSame =
    after.type === before.type && after.help === before.help && sameJson(after.extra, before.extra);
  return isSame ? workflow : withInput(workflow, block, name, after);
}

export interface InputChanges {
  readonly type?: string;
  readonly help?: string;
  readonly default?: Json | null;
}

/** Show an inner output as an output of the block; one of that name leads there then. */
export function promoteOutput(
  workflow: Workflow,
  block: string,
  link: Link,
  name?: string,
): { workflow: Workflow; name: string } {
  const before = blockOf(workflow, block);
  if (!before.nodes.has(link.node)) throw new EditFault("no-such-node", [link.node]);
  const text = linkText(link);
  if (name === undefined) {
    const known = [...before.outputs].find(([, source]) => source === text);
    if (known) return { workflow, name: known[0] };
  }
  const found = name ?? freeName(link.port || link.node, before.outputs);
  if (before.outputs.get(found) === text) return { workflow, name: found };
  const outputs = new Map(before.outputs).set(found, text);
  const named = before.outputs.has(found) ? workflow : withNamedLinks(workflow, block);
  return { workflow: withSubgraph(named, block, { ...before, outputs }), name: found };
}

/** Links to a block's only output may leave out its name, until there is another one. */
function withNamedLinks(workflow: Workflow, block: string): Workflow {
  const [only, ...more] = workflow.subgraphs.get(block)?.outputs.keys() ?? [];
  if (only === undefined || more.length > 0) return workflow;
  return mapUses(workflow, block, (link) => (link.port === "" ? { ...link, port: only } : link));
}

/** Other links to what comes out of a block's uses as nodes; null takes a link away. */
export function mapUses(
  workflow: Workflow,
  block: string,
  change: (link: Link) => Link | null,
): Workflow {
  let found = workflow;
  for (const scope of scopesOf(workflow)) {
    const nodes = nodesOf(found, scope);
    const isUse = (link: Link): boolean => nodes.get(link.node)?.type === block;
    const one = (link: Link): Link | null => (isUse(link) ? change(link) : link);
    found = mapOuterOutputs(withNodes(found, scope, mapLinks(nodes, one)), scope, one);
  }
  return found;
}

/** An outer block's output that came from a link that goes is an output no more itself. */
function mapOuterOutputs(
  workflow: Workflow,
  scope: Scope,
  change: (link: Link) => Link | null,
): Workflow {
  if (scope === null) return workflow;
  let found = workflow;
  for (const [name, text] of workflow.subgraphs.get(scope)?.outputs ?? []) {
    const link = parseLink(text);
    if (link && change(link) === null) found = demoteOutput(found, scope, name);
  }
  return mapOutputs(found, scope, change);
}

/** Take an output away from the block, and the links from it where the block is used. */
export function demoteOutput(workflow: Workflow, block: string, name: string): Workflow {
  const before = blockOf(workflow, block);
  if (!before.outputs.has(name)) return workflow;
  const isOnly = before.outputs.size === 1;
  const outputs = new Map(before.outputs);
  outputs.delete(name);
  const changed = withSubgraph(workflow, block, { ...before, outputs });
  return mapUses(changed, block, (link) =>
    link.port === name || (isOnly && link.port === "") ? null : link,
  );
}

export function renameOutput(
  workflow: Workflow,
  block: string,
  from: string,
  to: string,
): Workflow {
  const before = blockOf(workflow, block);
  if (from === to || !before.outputs.has(from)) return workflow;
  refuseName(to, before.outputs);
  const outputs = remap(before.outputs, (name, text) => [name === from ? to : name, text]);
  const changed = withSubgraph(workflow, block, { ...before, outputs });
  return mapUses(changed, block, (link) => (link.port === from ? { ...link, port: to } : link));
}

/** Put a block's inputs or outputs into another order. */
export function reorderPorts(
  workflow: Workflow,
  block: string,
  side: "inputs" | "outputs",
  names: readonly string[],
): Workflow {
  const before = blockOf(workflow, block);
  if (side === "inputs") {
    const inputs = ordered(before.inputs, names);
    return inputs === before.inputs
      ? workflow
      : withSubgraph(workflow, block, { ...before, inputs });
  }
  const outputs = ordered(before.outputs, names);
  return outputs === before.outputs
    ? workflow
    : withSubgraph(workflow, block, { ...before, outputs });
}

function ordered<V>(map: ReadonlyMap<string, V>, names: readonly string[]): ReadonlyMap<string, V> {
  const before = [...map.keys()];
  const order = [...new Set([...names.filter((name) => map.has(name)), ...before])];
  if (order.every((name, index) => name === before[index])) return map;
  const found = new Map<string, V>();
  for (const name of order) for (const [key, value] of map) if (key === name) found.set(key, value);
  return found;
}
