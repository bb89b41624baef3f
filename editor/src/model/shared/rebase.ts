/**
 * What others do meanwhile, worked into a window's workflow and its undo tree.
 *
 * The server's workflow is `base`; what a window shows is `base` with its own changes, those that
 * are on their way and those that aren't sent yet. A patch of another window changes `base`, and the
 * own changes are applied to it anew: the server will get them later, so that they win where both
 * wrote the same field. In the undo tree each state takes in the patch, so that going back takes
 * back one's own changes only, and what another has written since stays theirs.
 */
import { renameNode } from "../edits";
import type { History } from "../history";
import { freeName } from "../names";
import { nodesOf, type Scope, withSubgraph } from "../scope";
import type { Workflow } from "../workflow";
import { applyPatch } from "./applying";
import { addedBy, difference, samePath } from "./difference";
import { isKey, type Patch, type Path } from "./patch";
import { withChange, withPatch } from "./undoTree";

/** A workflow that is shared, as one window knows it. */
export interface Shared {
  /** The server's, at `revision`. */
  readonly base: Workflow;
  readonly revision: number;
  /** What was sent and is not confirmed. */
  readonly sent: Sent | null;
}

export interface Sent {
  readonly id: string;
  readonly patch: Patch;
}

/** The next patch to send; null if there is nothing, or one is on its way. */
export function nextPatch(shared: Shared, shown: Workflow): Patch | null {
  if (shared.sent !== null || shared.base === shown) return null;
  const patch = difference(shared.base, shown);
  return patch.length > 0 ? patch : null;
}

/** The server has the patch that was sent. */
export function confirmed(shared: Shared, revision: number): Shared {
  const { base, sent } = shared;
  return { base: sent === null ? base : applyPatch(base, sent.patch), revision, sent: null };
}

export interface Received {
  readonly shared: Shared;
  readonly history: History<Workflow>;
  /** Own nodes that have another name now, as the other window had theirs first. */
  readonly renamed: readonly Renamed[];
}

export interface Renamed {
  readonly scope: Scope;
  readonly from: string;
  readonly to: string;
}

/** Another window's patch has led the server's workflow to a revision. */
export function received(
  shared: Shared,
  history: History<Workflow>,
  patch: Patch,
  revision: number,
): Received {
  return movedTo(shared, history, applyPatch(shared.base, patch), patch, revision);
}

/** The server's workflow is another, as after a lost connection. */
export function replaced(
  shared: Shared,
  history: History<Workflow>,
  base: Workflow,
  revision: number,
): Received {
  return movedTo(shared, history, base, difference(shared.base, base), revision);
}

function movedTo(
  shared: Shared,
  history: History<Workflow>,
  base: Workflow,
  patch: Patch,
  revision: number,
): Received {
  const shown = history.entries.get(history.current)?.value ?? base;
  const clashes = clashesOf(difference(shared.base, shown), patch);
  const renamed = clashes.flatMap((path) => renamedNode(path, shown, base));
  const own = (workflow: Workflow): Workflow =>
    renamed.reduce(withName, withoutClashes(workflow, clashes));
  const ahead = difference(shared.base, own(shown));
  const found = ahead.length === 0 ? base : applyPatch(base, ahead);
  // The same object for the same workflow: nothing is drawn, compared and kept anew.
  const current = difference(shown, found).length === 0 ? shown : found;
  // The server refuses what was sent under a name that is taken: it goes again under another.
  const isRefused = shared.sent !== null && clashesOf(shared.sent.patch, patch).length > 0;
  const sent = isRefused ? null : shared.sent;
  const sets = asSets(patch);
  const rebased = (): History<Workflow> => {
    if (patch.length === 0) return history;
    if (clashes.length === 0) return withPatch(history, sets, current);
    return withChange(history, (workflow) => applyPatch(own(workflow), sets), current);
  };
  return {
    shared: { base: ahead.length === 0 ? current : base, revision, sent },
    history: rebased(),
    renamed,
  };
}

function clashesOf(own: Patch, theirs: Patch): readonly Path[] {
  const added = addedBy(theirs);
  return addedBy(own).filter((path) => added.some((other) => samePath(path, other)));
}

/** Nodes get another name. */
function renamedNode(path: Path, shown: Workflow, base: Workflow): readonly Renamed[] {
  const node = nodeAt(path);
  if (node === null) return [];
  const taken = new Set([
    ...nodesOf(shown, node.scope).keys(),
    ...nodesOf(base, node.scope).keys(),
  ]);
  return [{ scope: node.scope, from: node.name, to: freeName(node.name, taken) }];
}

function nodeAt(path: Path): { readonly scope: Scope; readonly name: string } | null {
  const name = path.at(-1);
  if (!isKey(name)) return null;
  if (path.length === 2 && path[0] === "nodes") return { scope: null, name };
  const scope = path[1];
  const isInner = path.length === 4 && path[0] === "subgraphs" && path[2] === "nodes";
  return isInner && isKey(scope) ? { scope, name } : null;
}

function withName(workflow: Workflow, { scope, from, to }: Renamed): Workflow {
  const nodes = nodesOf(workflow, scope);
  return nodes.has(from) && !nodes.has(to) ? renameNode(workflow, scope, from, to) : workflow;
}

/** Blocks, groups and notes get another name, too. */
function withoutClashes(workflow: Workflow, clashes: readonly Path[]): Workflow {
  return clashes.reduce((found, path) => {
    const [top, name] = path;
    if (top === "subgraphs" && path.length === 2 && isKey(name)) return withBlockName(found, name);
    const last = path.at(-1);
    return typeof last === "object" && "id" in last ? withItemId(found, path, last.id) : found;
  }, workflow);
}

function withBlockName(workflow: Workflow, name: string): Workflow {
  const block = workflow.subgraphs.get(name);
  if (block === undefined) return workflow;
  const next = freeName(name, workflow.subgraphs);
  const named = withSubgraph(workflow, next, block);
  const subgraphs = new Map(named.subgraphs);
  subgraphs.delete(name);
  const renamedUses = (nodes: Workflow["nodes"]): Workflow["nodes"] =>
    new Map(
      [...nodes].map(([key, node]) => [key, node.type === name ? { ...node, type: next } : node]),
    );
  for (const [key, each] of subgraphs)
    subgraphs.set(key, { ...each, nodes: renamedUses(each.nodes) });
  return { ...workflow, subgraphs, nodes: renamedUses(workflow.nodes) };
}

function withItemId(workflow: Workflow, path: Path, id: string): Workflow {
  const next = `${id}_${Math.random().toString(36).slice(2, 8)}`;
  const added = difference({ ...workflow, ui: new Map() }, workflow);
  const own = added.find((each) => samePath(each.path, path));
  if (own?.value === undefined || !(own.value instanceof Map)) return workflow;
  const value = new Map(own.value).set("id", next);
  const patch = [{ path }, { path: [...path.slice(0, -1), { id: next }], value }];
  return applyPatch(workflow, patch);
}

/** Applied to older states, in which what it adds may be there already. */
function asSets(patch: Patch): Patch {
  return patch.map(({ path, value }) => (value === undefined ? { path } : { path, value }));
}
