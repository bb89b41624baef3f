/**
 * Return the patch from one workflow to another. Parts that are the same object cost nothing.
 *
 * A node that is gone, and one that is there instead with the same type and the same content or
 * place, or with half of its inputs at least, are one node with another name: others' changes of it
 * go on.
 */
import { isList, isObject, type Json, type JsonObject, sameJson } from "../json";
import { layoutOf, type Point } from "../layout";
import { nodesOf, type Scope } from "../scope";
import {
  NOTHING,
  type NodeEntry,
  type Nodes,
  type Subgraph,
  type Workflow,
  workflowToJson,
} from "../workflow";
import { nodeToJson, subgraphToJson } from "../workflow/writing";
import { isKey, isPart, type Operation, type Patch, type Path, type Segment } from "./patch";

export function difference(from: Workflow, to: Workflow, isProse: IsProse = isUsualProse): Patch {
  if (from === to) return [];
  const found: Change[] = [];
  compareNodes(found, ["nodes"], from.nodes, to.nodes, alike(from, to, null));
  compareBlocks(found, from, to);
  compareObjects(found, [], otherParts(from), otherParts(to));
  if (from.ui !== to.ui) compareObjects(found, ["ui"], from.ui, to.ui);
  return withMerges(found, to, isProse);
}

/** Whether a field is a text that people type, so that two of them may at once. */
export type IsProse = (workflow: Workflow, path: Path) => boolean;

const PROSE = new Set(["note", "text", "title", "description", "help"]);

export function isUsualProse(_: Workflow, path: Path): boolean {
  const last = path.at(-1);
  return isKey(last) && PROSE.has(last) && !isValue(path);
}

/** As many as the server merges in one patch. */
const MOST_MERGED = 100;

interface Change extends Operation {
  /** What the field was. */
  readonly was?: Json;
}

function withMerges(changes: readonly Change[], to: Workflow, isProse: IsProse): Patch {
  let count = 0;
  return changes.map(({ was, ...plain }) => {
    if (typeof plain.value !== "string" || typeof was !== "string" || plain.renames) return plain;
    if (count >= MOST_MERGED || !isProse(to, plain.path)) return plain;
    count += 1;
    return { ...plain, before: was };
  });
}

type AreAlike = (name: string, a: NodeEntry, other: string, b: NodeEntry) => boolean;

/** Whether two nodes of two workflows are one. */
function alike(from: Workflow, to: Workflow, scope: Scope): AreAlike {
  const [before, after] = [layoutOf(from, scope).positions, layoutOf(to, scope).positions];
  return (name, a, other, b) =>
    a.type === b.type &&
    (a === b ||
      samePoint(before.get(name), after.get(other)) ||
      sameJson(nodeToJson(a), nodeToJson(b)));
}

function samePoint(a: Point | undefined, b: Point | undefined): boolean {
  return a !== undefined && b !== undefined && a.x === b.x && a.y === b.y;
}

/** The nodes that have another name in another workflow. */
export function renamesBetween(
  from: Workflow,
  to: Workflow,
  scope: Scope,
): ReadonlyMap<string, string> {
  const [before, after] = [nodesOf(from, scope), nodesOf(to, scope)];
  return before === after ? new Map() : renamedIn(before, after, alike(from, to, scope));
}

function renamedIn(from: Nodes, to: Nodes, areAlike: AreAlike): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const gone = [...from].filter(([name]) => !to.has(name));
  if (gone.length === 0) return found;
  const added = new Map([...to].filter(([name]) => !from.has(name)));
  for (const isOne of [areAlike, areSimilar]) {
    for (const [name, entry] of gone) {
      if (found.has(name)) continue;
      for (const [other, next] of added) {
        if (!isOne(name, entry, other, next)) continue;
        found.set(name, other);
        added.delete(other);
        break;
      }
    }
  }
  return found;
}

/** As of a node that was renamed, moved and changed while there was no connection. */
function areSimilar(_: string, a: NodeEntry, __: string, b: NodeEntry): boolean {
  if (a.type !== b.type || a.inputs.size === 0) return false;
  const same = [...a.inputs].filter(([port, value]) => sameJson(value, b.inputs.get(port))).length;
  return same > 0 && same * 2 >= Math.max(a.inputs.size, b.inputs.size);
}

/** What is compared as it is written: small things. */
function otherParts(workflow: Workflow): JsonObject {
  const small = { ...workflow, nodes: new Map(), subgraphs: new Map(), ui: NOTHING };
  const json = new Map(workflowToJson(small));
  for (const key of ["format", "nodes"]) json.delete(key);
  return json;
}

function compareNodes(
  found: Change[],
  path: Path,
  from: Nodes,
  to: Nodes,
  areAlike: AreAlike,
): void {
  if (from === to) return;
  const renamed = renamedIn(from, to, areAlike);
  const known = new Map([...renamed].map(([name, other]) => [other, name]));
  for (const name of from.keys()) {
    if (!to.has(name) && !renamed.has(name)) found.push({ path: [...path, name] });
  }
  for (const [name, value] of renamed) found.push({ path: [...path, name], value, renames: true });
  for (const [name, entry] of to) {
    const before = from.get(known.get(name) ?? name);
    if (before === entry) continue;
    const at = [...path, name];
    if (before === undefined) found.push({ path: at, value: nodeToJson(entry), isNew: true });
    else compare(found, at, nodeToJson(before), nodeToJson(entry));
  }
}

function compareBlocks(found: Change[], old: Workflow, now: Workflow): void {
  const [from, to]: ReadonlyMap<string, Subgraph>[] = [old.subgraphs, now.subgraphs];
  if (from === undefined || to === undefined || from === to) return;
  for (const name of from.keys()) if (!to.has(name)) found.push({ path: ["subgraphs", name] });
  for (const [name, block] of to) {
    const before = from.get(name);
    if (before === block) continue;
    const path = ["subgraphs", name];
    if (before === undefined) {
      found.push({ path, value: subgraphToJson(block), isNew: true });
      continue;
    }
    const areAlike = alike(old, now, name);
    compareNodes(found, [...path, "nodes"], before.nodes, block.nodes, areAlike);
    const NO_NODES = { nodes: new Map() };
    compare(
      found,
      path,
      subgraphToJson({ ...before, ...NO_NODES }),
      subgraphToJson({ ...block, ...NO_NODES }),
    );
  }
}

function compare(found: Change[], path: Path, from: Json | undefined, to: Json | undefined): void {
  if (from === to || sameJson(from, to)) return;
  if (to === undefined && !isFilled(from, path)) found.push({ path });
  else if (isObject(from ?? NOTHING) && isObject(to ?? NOTHING) && isContainer(from, to, path)) {
    compareObjects(found, path, (from ?? NOTHING) as JsonObject, (to ?? NOTHING) as JsonObject);
  } else if (path[0] === "ui" && isList(from ?? []) && isList(to ?? [])) {
    compareLists(found, path, (from ?? []) as readonly Json[], (to ?? []) as readonly Json[]);
  } else if (to === undefined) found.push({ path });
  else found.push(from === undefined ? { path, value: to } : { path, value: to, was: from });
}

/** Whether two objects are compared by field. One that comes or goes is, so that two may make it. */
function isContainer(from: Json | undefined, to: Json | undefined, path: Path): boolean {
  if (isValue(path)) return false;
  if (from !== undefined && to !== undefined) return true;
  return isFilled(from ?? to, path);
}

function isFilled(value: Json | undefined, path: Path): boolean {
  if (isPart(path) || isValue(path)) return false;
  if (isList(value)) return path[0] === "ui" && value.length > 0 && byKey(value) !== null;
  return isObject(value) && value.size > 0;
}

function compareObjects(found: Change[], path: Path, from: JsonObject, to: JsonObject): void {
  for (const key of from.keys()) if (!to.has(key)) found.push({ path: [...path, key] });
  for (const [key, value] of to) compare(found, [...path, key], from.get(key), value);
}

/** Whether it is what an input is given: a whole, whatever form it has. */
function isValue(path: Path): boolean {
  const inner = path[0] === "subgraphs" ? path.slice(2) : path;
  return inner[0] === "nodes" && inner[2] === "inputs" && inner.length >= 4;
}

/** Groups, notes and the like by their ids, names as a set; other lists as a whole. */
function compareLists(
  found: Change[],
  path: Path,
  from: readonly Json[],
  to: readonly Json[],
): void {
  const [before, after] = [byKey(from), byKey(to)];
  if (!before || !after || !areAlike(before, after)) {
    found.push({ path, value: to });
    return;
  }
  for (const [key, { step }] of before) if (!after.has(key)) found.push({ path: [...path, step] });
  for (const [key, { step, item }] of after) {
    const known = before.get(key);
    const at = [...path, step];
    if (known !== undefined) compare(found, at, known.item, item);
    else if ("is" in step) found.push({ path: at, value: true });
    else found.push({ path: at, value: item, isNew: true });
  }
}

interface Keyed {
  readonly step: Exclude<Segment, string>;
  readonly item: Json;
}

function byKey(items: readonly Json[]): ReadonlyMap<string, Keyed> | null {
  const found = new Map<string, Keyed>();
  for (const item of items) {
    const id = isObject(item) ? item.get("id") : item;
    if (typeof id !== "string" || found.has(id)) return null;
    found.set(id, { step: isObject(item) ? { id } : { is: id }, item });
  }
  return found;
}

function areAlike(a: ReadonlyMap<string, Keyed>, b: ReadonlyMap<string, Keyed>): boolean {
  const kinds = new Set([...a.values(), ...b.values()].map(({ step }) => "id" in step));
  return kinds.size <= 1;
}

/** Nodes, blocks, groups and notes that are under names that a patch gives. */
export function addedBy(patch: Patch): readonly Path[] {
  return patch.flatMap(({ path, value, isNew, renames }) => {
    if (renames) return [[...path.slice(0, -1), String(value)]];
    return isNew ? [path] : [];
  });
}

export function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((step, at) => sameStep(step, b[at]));
}

function sameStep(a: Segment, b: Segment | undefined): boolean {
  if (isKey(a) || isKey(b) || b === undefined) return a === b;
  return JSON.stringify(a) === JSON.stringify(b);
}
