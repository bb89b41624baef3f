/**
 * Patches of workflows: fields that are set or removed, last writer per field.
 *
 * An operation is `[path, value]`, `[path, value, true]` for what must not be there yet,
 * `[path, text, "merge", before]` for a text that people type, `[path, name, "rename"]` for another
 * name of a node, or `[path]` to remove. What lies inside of a part that is gone is left out: who removes a node removes what
 * others write to it. nodegraph/server/content/drafts/patches.py does the same, and
 * tests/data/draft_patches.json has the cases that both must pass.
 */
import { isList, isObject, type Json, type JsonObject, readJson, writeJson } from "../json";
import { mergeText } from "./textMerge";

/** A key of an object, an object of a list by its `id`, or a text that a list holds. */
export type Segment = string | { readonly id: string } | { readonly is: string };
export type Path = readonly Segment[];

export interface Operation {
  readonly path: Path;
  /** Undefined to remove the field. */
  readonly value?: Json;
  readonly isNew?: boolean;
  /** The text that the value was made of; without it, the value is not merged. */
  readonly before?: string;
  /** The value is another name for the node. */
  readonly renames?: boolean;
}

export type Patch = readonly Operation[];

/** It adds something under a name that is taken. */
export class NameTaken extends Error {
  constructor(readonly path: Path) {
    super(`the name is taken: ${JSON.stringify(path)}`);
    this.name = "NameTaken";
  }
}

export function writePatch(patch: Patch): string {
  return writeJson(
    patch.map(({ path, value, isNew, before, renames }) => {
      const steps = path.map((step) => (isKey(step) ? step : new Map(Object.entries(step))));
      if (value === undefined) return [steps];
      if (renames) return [steps, value, "rename"];
      if (before !== undefined) return [steps, value, "merge", before];
      return isNew ? [steps, value, true] : [steps, value];
    }),
  );
}

export function readPatch(text: string): Patch {
  const items = readJson(text);
  if (!isList(items)) throw new Error("a patch is a list");
  return items.map((item) => {
    if (!isList(item) || !isList(item[0])) throw new Error("an operation is a list with a path");
    const path = item[0].map(segmentOf);
    const value = item[1];
    if (value === undefined) return { path };
    if (item[2] === "rename") return { path, value, renames: true };
    if (typeof item[3] === "string") return { path, value, before: item[3] };
    return item[2] === true ? { path, value, isNew: true } : { path, value };
  });
}

function segmentOf(step: Json): Segment {
  if (typeof step === "string") return step;
  const [entry] = isObject(step) ? step : [];
  if (entry && typeof entry[1] === "string") {
    if (entry[0] === "id") return { id: entry[1] };
    if (entry[0] === "is") return { is: entry[1] };
  }
  throw new Error("a step of a path is a key, an id or a text");
}

export interface Renamed {
  readonly scope: string | null;
  readonly from: string;
  readonly to: string;
}

/** Nodes that get another name. */
export function renamesOf(patch: Patch): readonly Renamed[] {
  return patch.flatMap(({ path, value, renames }) => {
    const node = renames ? nodeAt(path) : null;
    return node === null ? [] : [{ scope: node.scope, from: node.name, to: String(value) }];
  });
}

/** The node of a path; null if it is that of something else, or of a part of one. */
export function nodeAt(
  path: Path,
): { readonly scope: string | null; readonly name: string } | null {
  const name = path.at(-1);
  if (!isKey(name)) return null;
  if (path.length === 2 && path[0] === "nodes") return { scope: null, name };
  const scope = path[1];
  const isInner = path.length === 4 && path[0] === "subgraphs" && path[2] === "nodes";
  return isInner && isKey(scope) ? { scope, name } : null;
}

export function isKey(step: Segment | undefined): step is string {
  return typeof step === "string";
}

/** A document with a patch; the document itself, and what the patch doesn't touch, stays. */
export function applyToJson(document: JsonObject, patch: Patch): JsonObject {
  const owned = new Set<unknown>();
  let root: Container = document;
  for (const operation of patch) {
    if (!applies(root, operation)) continue;
    root = own(root, owned);
    write(root, operation, owned);
  }
  return root as JsonObject;
}

type Container = JsonObject | readonly Json[];

/** Copied once for a patch, before the first change. */
function own<T extends Container>(container: T, owned: Set<unknown>): T {
  if (owned.has(container)) return container;
  const copied = isObject(container) ? new Map(container) : [...(container as readonly Json[])];
  owned.add(copied);
  return copied as unknown as T;
}

function write(root: Container, operation: Operation, owned: Set<unknown>): void {
  const { path, value } = operation;
  const way: Container[] = [root];
  path.slice(0, -1).forEach((step, at) => {
    const container = way[at] as Container;
    const child = get(container, step) as Container | undefined;
    const found = own(child ?? (isKey(path[at + 1]) ? new Map<string, Json>() : []), owned);
    if (found !== child) put(container, step, found);
    way.push(found);
  });
  const last = path.at(-1) as Segment;
  if (operation.renames) {
    renameKey(way.at(-1) as Map<string, Json>, last, value);
    return;
  }
  if (value !== undefined) {
    const container = way.at(-1) as Container;
    put(container, last, valueFor(operation, last, value, get(container, last)));
    return;
  }
  remove(way.at(-1) as Container, last);
  for (let at = way.length - 1; at > 0; at -= 1) {
    const container = way[at] as Container;
    const size = isObject(container) ? container.size : (container as readonly Json[]).length;
    if (size > 0 || isPart(path.slice(0, at)) || (at === 1 && path[0] === "nodes")) break;
    remove(way[at - 1] as Container, path[at - 1] as Segment);
  }
}

function valueFor(
  { before }: Operation,
  step: Segment,
  value: Json,
  current: Json | undefined,
): Json {
  if (before !== undefined && typeof value === "string" && typeof current === "string") {
    return mergeText(before, value, current);
  }
  return typeof step === "object" && "is" in step ? step.is : value;
}

/** All keep their order. */
function renameKey(container: Map<string, Json>, step: Segment, name: Json | undefined): void {
  const items = [...container];
  container.clear();
  for (const [key, value] of items) container.set(key === step ? String(name) : key, value);
}

function applies(root: Container, { path, value, isNew, renames }: Operation): boolean {
  let container: Json = root;
  for (const [at, step] of path.entries()) {
    if (isKey(step) ? !isObject(container) : !isList(container)) return false;
    const child = get(container as Container, step);
    if (at === path.length - 1) {
      if (isNew && child !== undefined) throw new NameTaken(path);
      if (child === undefined) return value !== undefined && renames !== true;
      const isTaken = renames && get(container as Container, String(value)) !== undefined;
      if (isTaken) throw new NameTaken([...path.slice(0, -1), String(value)]);
      return true;
    }
    if (child === undefined) {
      // A missing container is made. A part that people add and remove is not.
      if (value === undefined) return false;
      return !path.slice(0, -1).some((_, end) => end >= at && isPart(path.slice(0, end + 1)));
    }
    container = child;
  }
  return true;
}

/** Whether a path is that of a node, a block, an input of one, a parameter or an item. */
export function isPart(path: Path): boolean {
  if (!isKey(path.at(-1))) return true;
  const [top] = path;
  if (path.length === 2) return top === "nodes" || top === "subgraphs" || top === "parameters";
  return path.length === 4 && top === "subgraphs" && (path[2] === "nodes" || path[2] === "inputs");
}

function indexOf(items: readonly Json[], step: Exclude<Segment, string>): number {
  return items.findIndex((item) =>
    "is" in step ? item === step.is : isObject(item) && item.get("id") === step.id,
  );
}

function get(container: Container, step: Segment): Json | undefined {
  if (isKey(step)) return (container as JsonObject).get(step);
  const items = container as readonly Json[];
  return items[indexOf(items, step)];
}

function put(container: Container, step: Segment, value: Json): void {
  if (isKey(step)) {
    (container as Map<string, Json>).set(step, value);
    return;
  }
  const items = container as Json[];
  const at = indexOf(items, step);
  if (at < 0) items.push(value);
  else items[at] = value;
}

function remove(container: Container, step: Segment): void {
  if (isKey(step)) {
    (container as Map<string, Json>).delete(step);
    return;
  }
  const items = container as Json[];
  const at = indexOf(items, step);
  if (at >= 0) items.splice(at, 1);
}
