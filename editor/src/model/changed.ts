/** What an edit reaches: the nodes that may give something else than before. */
import { downstream } from "./graph";
import { sameJson } from "./json";
import type { NodeEntry, Workflow } from "./workflow";

const found = new WeakMap<Workflow, WeakMap<Workflow, (name: string) => boolean>>();

/**
 * Tells of each node, by its name in the run, whether it may give something else in one workflow
 * than in another; of those that only one of them has, it may. Found once for the same two.
 */
export function changedSince(before: Workflow, now: Workflow): (name: string) => boolean {
  const known = found.get(before) ?? new WeakMap<Workflow, (name: string) => boolean>();
  found.set(before, known);
  const tell = known.get(now) ?? compare(before, now);
  known.set(now, tell);
  return tell;
}

function compare(before: Workflow, now: Workflow): (name: string) => boolean {
  if (before.subgraphs !== now.subgraphs || before.requires !== now.requires) return () => true;
  const names = new Set([...before.nodes.keys(), ...now.nodes.keys()]);
  const other = [...names].filter((name) => !isSame(before.nodes.get(name), now.nodes.get(name)));
  // Links to a node that is gone are followed where it still was.
  const reached = downstream(now.nodes, downstream(before.nodes, other));
  // What is in a block changes with the block.
  return (name) => reached.has(name.split("/", 1)[0] ?? name);
}

/** Whether two nodes do the same with what comes in; what people call them doesn't count. */
function isSame(a: NodeEntry | undefined, b: NodeEntry | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  const isOfOneKind = a.type === b.type && a.version === b.version && a.mode === b.mode;
  return isOfOneKind && a.inputs.size === b.inputs.size && sameJson(a.inputs, b.inputs);
}
