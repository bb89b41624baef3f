/**
 * What others do meanwhile, worked into a window's workflow and its undo tree.
 *
 * The server's workflow is `base`; what a window shows is `base` with its own changes, those that
 * are on their way and those that aren't sent yet. A patch of another window changes `base`, and the
 * own changes are applied to it anew: the server will get them later, so that they win where both
 * wrote the same field. Texts that people type are merged. A node that another window renames has its
 * new name here, too, and what was done to it goes on under that. In the undo tree each state takes in
 * the patch, so that going back takes back one's own changes only, and what another has written since
 * stays theirs.
 */
import type { History } from "../history";
import { freeName } from "../names";
import { nodesOf, withSubgraph } from "../scope";
import type { Workflow } from "../workflow";
import { applyPatch } from "./applying";
import { addedBy, difference, type IsProse, isUsualProse, samePath } from "./difference";
import {
  isKey,
  nodeAt,
  type Operation,
  type Patch,
  type Path,
  type Renamed,
  renamesOf,
} from "./patch";
import { type BlockRename, blockRenames, withBlockRename, withName } from "./renaming";
import { withChange, withPatch } from "./undoTree";

/** A workflow that is shared, as one window knows it. */
export interface Shared {
  /** The server's, at `revision`. */
  readonly base: Workflow;
  readonly revision: number;
  /** What was sent and is not confirmed. */
  readonly sent: Sent | null;
  /** What the ids of patches begin with that were sent by the page that this belongs to. */
  readonly page?: string;
  /** What was shown when that page kept it, from a reload until the server has answered. */
  readonly kept?: Workflow;
}

export interface Sent {
  readonly id: string;
  readonly patch: Patch;
}

/** The next patch to send; null if there is nothing, or one is on its way. */
export function nextPatch(
  shared: Shared,
  shown: Workflow,
  isProse: IsProse = isUsualProse,
): Patch | null {
  if (shared.sent !== null || shared.base === shown) return null;
  const patch = difference(shared.base, shown, isProse);
  return patch.length > 0 ? patch : null;
}

/** The server has the patch that was sent. */
export function confirmed(shared: Shared, revision: number): Shared {
  const { base, sent } = shared;
  return {
    ...shared,
    base: sent === null ? base : applyPatch(base, sent.patch),
    revision,
    sent: null,
  };
}

export interface Received {
  readonly shared: Shared;
  readonly history: History<Workflow>;
  /** Nodes that have another name now: others renamed them, or had one of that name first. */
  readonly renamed: readonly Renamed[];
}

/** Another window's patch has led the server's workflow to a revision. */
export function received(
  shared: Shared,
  history: History<Workflow>,
  patch: Patch,
  revision: number,
  isProse: IsProse = isUsualProse,
): Received {
  const base = applyPatch(shared.base, patch);
  return movedTo(shared, history, { base, patch, revision, isProse });
}

/** The server's workflow is another, as after a lost connection. `renames`: since then. */
export function replaced(
  shared: Shared,
  history: History<Workflow>,
  base: Workflow,
  revision: number,
  isProse: IsProse = isUsualProse,
  renames: readonly Renamed[] = [],
): Received {
  const known = renames.reduce(withName, shared.base);
  const patch = [...renames.map(asOperation), ...difference(known, base, isProse)];
  return movedTo(shared, history, { base, patch, revision, isProse });
}

function asOperation({ scope, from, to }: Renamed): Operation {
  const path = scope === null ? ["nodes", from] : ["subgraphs", scope, "nodes", from];
  return { path, value: to, renames: true };
}

interface Arrival {
  readonly base: Workflow;
  /** What led to it. */
  readonly patch: Patch;
  readonly revision: number;
  readonly isProse: IsProse;
}

function movedTo(
  shared: Shared,
  history: History<Workflow>,
  { base, patch, revision, isProse }: Arrival,
): Received {
  const shown = history.entries.get(history.current)?.value ?? base;
  const clashes = clashesOf(difference(shared.base, shown), patch);
  const theirs = renamesOf(patch);
  const renamed = [...clashes.flatMap((path) => renamedNode(path, shown, base)), ...theirs];
  const blocks = blockRenames(shared.base, base);
  const own = (workflow: Workflow): Workflow =>
    renamed.reduce(withName, blocks.reduce(withBlockRename, withoutClashes(workflow, clashes)));
  // The server refuses what was sent under a name that is taken, or that is another now: it goes
  // again under the name that counts.
  const isRefused =
    shared.sent !== null &&
    (theirs.length > 0 ||
      clashesOf(shared.sent.patch, patch).length > 0 ||
      isWithin(shared.sent.patch, blocks));
  const sent = isRefused ? null : shared.sent;
  // What is on its way goes first, as the server will do: texts would be merged in another order.
  const under = (workflow: Workflow): Workflow => applyPatch(workflow, sent?.patch ?? []);
  // A node that both renamed has the name that is sent last: the own one.
  const known = blocks.reduce(withBlockRename, theirs.reduce(withName, under(shared.base)));
  const next = own(shown);
  // What others did to nodes that were renamed here goes on under the new names, too.
  const mine = renamesOf(difference(known, next));
  const ahead = difference(mine.reduce(withName, known), next, isProse);
  const found = applyPatch(mine.reduce(withName, under(base)), ahead);
  // The same object for the same workflow: nothing is drawn, compared and kept anew.
  const current = difference(shown, found).length === 0 ? shown : found;
  const isAll = sent === null && ahead.length === 0 && mine.length === 0;
  const sets = asSets(patch);
  // A block under its new name keeps what it has in each state.
  const left = sets.filter(
    ({ path }) => !blocks.some(({ to }) => samePath(path, ["subgraphs", to])),
  );
  const rebased = (): History<Workflow> => {
    if (patch.length === 0) return history;
    if (clashes.length === 0 && blocks.length === 0) return withPatch(history, sets, current);
    return withChange(history, (workflow) => applyPatch(own(workflow), left), current);
  };
  return {
    shared: { ...shared, base: isAll ? current : base, revision, sent },
    history: rebased(),
    renamed,
  };
}

/** Whether a patch changes blocks that have another name now: the server leaves that out. */
function isWithin(patch: Patch, blocks: readonly BlockRename[]): boolean {
  return patch.some(({ path }) => {
    return path[0] === "subgraphs" && blocks.some(({ from }) => from === path[1]);
  });
}

function clashesOf(own: Patch, theirs: Patch): readonly Path[] {
  const known = renamesOf(own);
  // The same name for the same node is no clash.
  const isSame = (path: Path): boolean =>
    renamesOf(theirs).some(({ scope, from, to }) => {
      const node = nodeAt(path);
      if (node?.scope !== scope || node.name !== to) return false;
      return known.some((each) => each.scope === scope && each.from === from && each.to === to);
    });
  const added = addedBy(theirs);
  return addedBy(own).filter(
    (path) => added.some((other) => samePath(path, other)) && !isSame(path),
  );
}

function renamedNode(path: Path, shown: Workflow, base: Workflow): readonly Renamed[] {
  const node = nodeAt(path);
  if (node === null) return [];
  const taken = new Set([
    ...nodesOf(shown, node.scope).keys(),
    ...nodesOf(base, node.scope).keys(),
  ]);
  return [{ scope: node.scope, from: node.name, to: freeName(node.name, taken) }];
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
  return patch.map(({ isNew: _, ...operation }) => operation);
}
