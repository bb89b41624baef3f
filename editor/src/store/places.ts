/** Where the nodes of a run are in the graphs of its workflow, and the other way round. */
import { nodesOf, type Scope } from "@/model/scope";
import { bodyNameOf, type NodeTypes } from "@/model/spec";
import type { NodeEntry, Workflow } from "@/model/workflow";

export interface Place {
  /** The blocks to enter, outermost first. */
  readonly path: readonly string[];
  readonly node: string;
}

const DEEPEST = 32;

/** The block that a node stands for or runs in a loop; null for other nodes. */
export function blockOf(
  workflow: Workflow,
  types: NodeTypes | null,
  entry: NodeEntry,
): string | null {
  if (workflow.subgraphs.has(entry.type)) return entry.type;
  const spec = types?.byName.get(entry.type);
  const name = spec === undefined ? "" : bodyNameOf(spec, entry.inputs);
  return workflow.subgraphs.has(name) ? name : null;
}

/** The node that a name of a run means, such as "block/node", "loop/0/node" and "node[3]". */
export function placeOf(workflow: Workflow, types: NodeTypes | null, name: string): Place | null {
  const parts = name.replace(/\[\d+\]/g, "").split("/");
  const path: string[] = [];
  let scope: Scope = null;
  let found: Place | null = null;
  for (const part of parts) {
    const nodes = nodesOf(workflow, scope);
    const entry: NodeEntry | undefined = nodes.get(part);
    if (entry === undefined) {
      // The number of a loop's round; what else is unknown is shown by the block that it is in.
      if (found !== null && /^\d+$/.test(part)) continue;
      return found;
    }
    found = { path: [...path], node: part };
    const block = blockOf(workflow, types, entry);
    if (block === null) break;
    path.push(block);
    scope = block;
  }
  return found;
}

/** What a run's names of the nodes in a graph begin with: of a block, one for each of its uses. */
export function prefixesOf(
  workflow: Workflow,
  types: NodeTypes | null,
  scope: Scope,
): readonly string[] {
  if (scope === null) return ROOT;
  const all = known.get(workflow);
  if (all?.types === types) return all.prefixes.get(scope) ?? NOWHERE;
  const prefixes = new Map<string, string[]>();
  collect(workflow, types, null, "", prefixes, 0);
  known.set(workflow, { types, prefixes });
  return prefixes.get(scope) ?? NOWHERE;
}

/** The names that a node has in runs. */
export function runNames(
  workflow: Workflow,
  types: NodeTypes | null,
  scope: Scope,
  node: string,
): readonly string[] {
  return prefixesOf(workflow, types, scope).map((prefix) => prefix + node);
}

const ROOT: readonly string[] = [""];
const NOWHERE: readonly string[] = [];
const MOST = 100;

const known = new WeakMap<
  Workflow,
  { readonly types: NodeTypes | null; readonly prefixes: ReadonlyMap<string, readonly string[]> }
>();

function collect(
  workflow: Workflow,
  types: NodeTypes | null,
  scope: Scope,
  prefix: string,
  found: Map<string, string[]>,
  level: number,
): void {
  if (level > DEEPEST) return;
  for (const [name, entry] of nodesOf(workflow, scope)) {
    const block = blockOf(workflow, types, entry);
    if (block === null) continue;
    const inner = `${prefix}${name}/`;
    const prefixes = found.get(block) ?? [];
    // Blocks that are used within blocks over and over may come to more than anybody can look at.
    if (prefixes.length >= MOST) continue;
    found.set(block, [...prefixes, inner]);
    collect(workflow, types, block, inner, found, level + 1);
  }
}
