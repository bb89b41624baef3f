/** Return the patch from one workflow to another. Parts that are the same object cost nothing. */
import { isList, isObject, type Json, type JsonObject, sameJson } from "../json";
import { NOTHING, type Nodes, type Subgraph, type Workflow, workflowToJson } from "../workflow";
import { nodeToJson, subgraphToJson } from "../workflow/writing";
import { isKey, isPart, type Operation, type Patch, type Path, type Segment } from "./patch";

export function difference(from: Workflow, to: Workflow): Patch {
  if (from === to) return [];
  const found: Operation[] = [];
  compareNodes(found, ["nodes"], from.nodes, to.nodes);
  compareBlocks(found, from.subgraphs, to.subgraphs);
  compareObjects(found, [], otherParts(from), otherParts(to));
  if (from.ui !== to.ui) compareObjects(found, ["ui"], from.ui, to.ui);
  return found;
}

/** What is compared as it is written: small things. */
function otherParts(workflow: Workflow): JsonObject {
  const small = { ...workflow, nodes: new Map(), subgraphs: new Map(), ui: NOTHING };
  const json = new Map(workflowToJson(small));
  for (const key of ["format", "nodes"]) json.delete(key);
  return json;
}

function compareNodes(found: Operation[], path: Path, from: Nodes, to: Nodes): void {
  if (from === to) return;
  for (const name of from.keys()) if (!to.has(name)) found.push({ path: [...path, name] });
  for (const [name, entry] of to) {
    const before = from.get(name);
    if (before === entry) continue;
    const at = [...path, name];
    if (before === undefined) found.push({ path: at, value: nodeToJson(entry), isNew: true });
    else compare(found, at, nodeToJson(before), nodeToJson(entry));
  }
}

function compareBlocks(
  found: Operation[],
  from: ReadonlyMap<string, Subgraph>,
  to: ReadonlyMap<string, Subgraph>,
): void {
  if (from === to) return;
  for (const name of from.keys()) if (!to.has(name)) found.push({ path: ["subgraphs", name] });
  for (const [name, block] of to) {
    const before = from.get(name);
    if (before === block) continue;
    const path = ["subgraphs", name];
    if (before === undefined) {
      found.push({ path, value: subgraphToJson(block), isNew: true });
      continue;
    }
    compareNodes(found, [...path, "nodes"], before.nodes, block.nodes);
    const NO_NODES = { nodes: new Map() };
    compare(
      found,
      path,
      subgraphToJson({ ...before, ...NO_NODES }),
      subgraphToJson({ ...block, ...NO_NODES }),
    );
  }
}

function compare(
  found: Operation[],
  path: Path,
  from: Json | undefined,
  to: Json | undefined,
): void {
  if (from === to || sameJson(from, to)) return;
  if (to === undefined && !isFilled(from, path)) found.push({ path });
  else if (isObject(from ?? NOTHING) && isObject(to ?? NOTHING) && isContainer(from, to, path)) {
    compareObjects(found, path, (from ?? NOTHING) as JsonObject, (to ?? NOTHING) as JsonObject);
  } else if (path[0] === "ui" && isList(from ?? []) && isList(to ?? [])) {
    compareLists(found, path, (from ?? []) as readonly Json[], (to ?? []) as readonly Json[]);
  } else found.push(to === undefined ? { path } : { path, value: to });
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

function compareObjects(found: Operation[], path: Path, from: JsonObject, to: JsonObject): void {
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
  found: Operation[],
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

/** Nodes, blocks, groups and notes that a patch adds. */
export function addedBy(patch: Patch): readonly Path[] {
  return patch.flatMap(({ path, isNew }) => (isNew ? [path] : []));
}

export function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((step, at) => sameStep(step, b[at]));
}

function sameStep(a: Segment, b: Segment | undefined): boolean {
  if (isKey(a) || isKey(b) || b === undefined) return a === b;
  return JSON.stringify(a) === JSON.stringify(b);
}
