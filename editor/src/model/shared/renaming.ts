/** Nodes that have other names in some states of a workflow than in others. */
import { renameNode } from "../edits";
import { isObject, type Json, sameJson } from "../json";
import { linkOf } from "../links";
import { nodesOf, type Scope } from "../scope";
import { renameSubgraph } from "../subgraphs";
import type { Workflow } from "../workflow";
import { subgraphToJson } from "../workflow/writing";
import { renamesBetween } from "./difference";
import { isKey, type Patch, type Path, type Renamed } from "./patch";

/** A node under another name, with all that refers to it; unless it is gone, or the name is taken. */
export function withName(workflow: Workflow, { scope, from, to }: Renamed): Workflow {
  const nodes = nodesOf(workflow, scope);
  return nodes.has(from) && !nodes.has(to) ? renameNode(workflow, scope, from, to) : workflow;
}

export interface BlockRename {
  readonly from: string;
  readonly to: string;
}

/** Blocks that are gone, and the ones with the same content that are there instead. */
export function blockRenames(before: Workflow, after: Workflow): readonly BlockRename[] {
  if (before.subgraphs === after.subgraphs) return [];
  const added = new Map([...after.subgraphs].filter(([name]) => !before.subgraphs.has(name)));
  const found: BlockRename[] = [];
  for (const [from, block] of before.subgraphs) {
    if (after.subgraphs.has(from)) continue;
    const content = subgraphToJson(block);
    const same = [...added].find(([, other]) => sameJson(subgraphToJson(other), content));
    if (same === undefined) continue;
    added.delete(same[0]);
    found.push({ from, to: same[0] });
  }
  return found;
}

/** A block under another name, wherever it is used; unless it is gone, or the name is taken. */
export function withBlockRename(workflow: Workflow, { from, to }: BlockRename): Workflow {
  const { subgraphs } = workflow;
  return subgraphs.has(from) && !subgraphs.has(to) ? renameSubgraph(workflow, from, to) : workflow;
}

/** What nodes that a patch speaks of are called in an older state. `from`: there; `to`: in `shown`. */
export function aliasesFor(patch: Patch, state: Workflow, shown: Workflow): readonly Renamed[] {
  const found: Renamed[] = [];
  for (const [scope, names] of namesIn(patch)) {
    const [before, after] = [nodesOf(state, scope), nodesOf(shown, scope)];
    if (![...names].some((name) => after.has(name) && !before.has(name))) continue;
    for (const [from, to] of renamesBetween(state, shown, scope)) {
      if (names.has(to)) found.push({ scope, from, to });
    }
  }
  return found;
}

/** The nodes whose fields a patch writes, and to which it links. */
function namesIn(patch: Patch): ReadonlyMap<Scope, ReadonlySet<string>> {
  const found = new Map<Scope, Set<string>>();
  const add = (scope: Scope, name: string): void => {
    found.set(scope, (found.get(scope) ?? new Set()).add(name));
  };
  for (const { path, value } of patch) {
    const { scope, inner } = scopeOf(path);
    const [top, name, , fourth] = inner;
    if (top === "nodes" && isKey(name)) add(scope, name);
    if (path[0] === "ui") {
      const key = path[1] === "subgraphs" ? path[4] : path[2];
      const owner = path[1] === "subgraphs" ? path[2] : null;
      if (isKey(key) && (owner === null || isKey(owner))) add(owner, key);
    }
    if (top === "nodes" && fourth !== undefined) {
      const link = linkedNode(value);
      if (link !== null) add(scope, link);
    }
  }
  return found;
}

function scopeOf(path: Path): { readonly scope: Scope; readonly inner: Path } {
  const [top, name] = path;
  if (top === "subgraphs" && isKey(name)) return { scope: name, inner: path.slice(2) };
  return { scope: null, inner: path };
}

function linkedNode(value: Json | undefined): string | null {
  return isObject(value) ? (linkOf(value)?.node ?? null) : null;
}
