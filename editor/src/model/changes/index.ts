/** What was done between two states of a workflow, what matters most first. */
import type { Scope } from "../scope";
import type { NodeTypes } from "../spec";
import type { Subgraph, Workflow } from "../workflow";
import { type Change, listed } from "./change";
import { lookChanges } from "./looks";
import { type Compared, nodeChanges } from "./nodes";
import { isSame } from "./same";

export type { Change } from "./change";

/**
 * Everything that differs. Looks are told only where nothing else is: that cards make room for a new
 * one is no news.
 */
export function changesBetween(
  before: Workflow,
  after: Workflow,
  types: NodeTypes | null = null,
): readonly Change[] {
  if (before === after) return [];
  const compared = { before, after, types };
  const blocks = blockNames(before, after);
  const graphs: readonly (readonly [Scope, Scope])[] = [[null, null], ...blocks.same];
  const nodes = graphs.flatMap(([from, scope]) => nodeChanges(compared, from, scope));
  const found = [...ofBlocks(compared, blocks, nodes), ...ofFile(before, after)];
  if (found.length > 0) return found;
  return graphs.flatMap(([from, scope]) => lookChanges(compared, from, scope));
}

interface BlockNames {
  /** Names before and after of those that both have. */
  readonly same: readonly (readonly [string, string])[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

function blockNames(before: Workflow, after: Workflow): BlockNames {
  const left = [...after.subgraphs].filter(([name]) => !before.subgraphs.has(name));
  const same: [string, string][] = [];
  const removed: string[] = [];
  for (const [name, block] of before.subgraphs) {
    const renamed = left.find(([, other]) => other.nodes === block.nodes)?.[0];
    if (after.subgraphs.has(name)) same.push([name, name]);
    else if (renamed !== undefined) same.push([name, renamed]);
    else removed.push(name);
  }
  const known = new Set(same.map(([, name]) => name));
  return { same, removed, added: left.map(([name]) => name).filter((name) => !known.has(name)) };
}

function ofBlocks(
  { before, after }: Compared,
  blocks: BlockNames,
  nodes: readonly Change[],
): readonly Change[] {
  const [added, removed] = [blocks.added[0], blocks.removed[0]];
  const isOne = blocks.added.length + blocks.removed.length === 1;
  const says = (each: string) => nodes.some((change) => change.says === each);
  // Nodes that went into a block, or came out of one, are neither gone nor new.
  if (isOne && says("added") && says("removed")) {
    const block = after.subgraphs.get(added ?? "") ?? before.subgraphs.get(removed ?? "");
    const values = { block: added ?? removed ?? "", count: block?.nodes.size ?? 0 };
    const kind = added === undefined ? "block.unpacked" : "block.made";
    return [{ says: kind, values, scope: null, node: null }];
  }
  const found = [...nodes];
  const say = (kind: string, values: Change["values"]) =>
    found.push({ says: kind, values, scope: null, node: null });
  if (blocks.added.length > 0) say("block.added", { names: listed(blocks.added) });
  if (blocks.removed.length > 0) say("block.removed", { names: listed(blocks.removed) });
  for (const [was, block] of blocks.same) {
    if (was !== block) say("block.renamed", { was, block });
    if (hasOtherPorts(before.subgraphs.get(was), after.subgraphs.get(block)))
      say("block.ports", { block });
  }
  return found;
}

function hasOtherPorts(before: Subgraph | undefined, after: Subgraph | undefined): boolean {
  return !isSame(before?.inputs, after?.inputs) || !isSame(before?.outputs, after?.outputs);
}

function ofFile(before: Workflow, after: Workflow): readonly Change[] {
  const found: Change[] = [];
  const say = (says: string, values: Change["values"] = {}) =>
    found.push({ says, values, scope: null, node: null });
  if (before.title !== after.title) say("title", { title: after.title });
  if (before.description !== after.description) say("description");
  if (!isSame(before.parameters, after.parameters)) {
    const [old, now] = [[...before.parameters.keys()], [...after.parameters.keys()]];
    const added = now.filter((name) => !before.parameters.has(name));
    const removed = old.filter((name) => !after.parameters.has(name));
    if (added.length > 0) say("parameter.added", { names: listed(added) });
    if (removed.length > 0) say("parameter.removed", { names: listed(removed) });
    if (added.length + removed.length === 0) say("parameter.changed");
  }
  if (!isSame(before.requires, after.requires)) say("requires");
  return found;
}
