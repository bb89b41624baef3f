/**
 * Where things stand on the canvas and how they look: what the file's `ui` says, typed.
 *
 * The file's own graph has its layout in `ui` itself, each block's in `ui.subgraphs.<name>`. Keys
 * that the editor doesn't know, and entries that it can't read, stay in the file as they are.
 */
import { isList, isObject, type Json, type JsonObject, numberOf, sameJson } from "./json";
import type { Scope } from "./scope";
import type { Workflow } from "./workflow";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A point that a link runs through. */
export interface RoutePoint extends Point {
  /** Whether it was put there to lead around cards, and not by somebody. */
  readonly auto?: true;
}

export interface Size {
  readonly width: number;
  readonly height?: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export interface Group {
  readonly id: string;
  readonly title: string;
  readonly color: string;
  readonly box: Box;
  /** Keys of the file that the editor doesn't know. */
  readonly extra?: JsonObject;
}

export interface Note {
  readonly id: string;
  readonly text: string;
  readonly color: string;
  readonly box: Box;
  readonly extra?: JsonObject;
}

/** A comment on a node. The comments of a node are its thread, the oldest first. */
export interface NodeComment {
  readonly id: string;
  readonly node: string;
  readonly author: string;
  /** ISO 8601, in UTC. */
  readonly at: string;
  readonly text: string;
  /** When its text was changed last; missing for never. */
  readonly edited?: string;
  readonly resolved: boolean;
  /** When, and by whom. */
  readonly resolvedAt?: string;
  readonly resolvedBy?: string;
  readonly extra?: JsonObject;
}

export interface Layout {
  readonly positions: ReadonlyMap<string, Point>;
  readonly sizes: ReadonlyMap<string, Size>;
  readonly colors: ReadonlyMap<string, string>;
  readonly collapsed: ReadonlySet<string>;
  /** Nodes that are layers of the painting canvas, and that nobody is to paint on. */
  readonly locked: ReadonlySet<string>;
  /** Layers of the painting canvas whose transparency strokes leave as it is. */
  readonly alphaLocked: ReadonlySet<string>;
  readonly groups: readonly Group[];
  readonly notes: readonly Note[];
  readonly comments: readonly NodeComment[];
  /** Points that a link runs through, by edge id; none for one that leads around cards by itself. */
  readonly reroutes: ReadonlyMap<string, readonly RoutePoint[]>;
  /** Inputs with a widget that are shown as ports, by node. */
  readonly shown: ReadonlyMap<string, ReadonlySet<string>>;
  /** What happens to a seed after a run, by "node.port". */
  readonly seeds: ReadonlyMap<string, string>;
  /** Inside a block: where its inputs and outputs stand, "inputs" and "outputs". */
  readonly ends: ReadonlyMap<string, Point>;
}

export const EMPTY_LAYOUT: Layout = {
  positions: new Map(),
  sizes: new Map(),
  colors: new Map(),
  collapsed: new Set(),
  locked: new Set(),
  alphaLocked: new Set(),
  groups: [],
  notes: [],
  comments: [],
  reroutes: new Map(),
  shown: new Map(),
  seeds: new Map(),
  ends: new Map(),
};

// One layout per object of the file, so that it keeps its identity until that part changes.
const layouts = new WeakMap<JsonObject, Layout>();

export function layoutOf(workflow: Workflow, scope: Scope): Layout {
  const json = scopeJson(workflow.ui, scope);
  return json ? layoutOfJson(json) : EMPTY_LAYOUT;
}

function layoutOfJson(json: JsonObject): Layout {
  const known = layouts.get(json);
  if (known) return known;
  const layout = readLayout(json);
  layouts.set(json, layout);
  return layout;
}

function scopeJson(ui: JsonObject, scope: Scope): JsonObject | null {
  if (scope === null) return ui;
  const blocks = ui.get("subgraphs");
  const json = isObject(blocks) ? blocks.get(scope) : undefined;
  return isObject(json) ? json : null;
}

/** The workflow with another layout of one of its graphs. */
export function withLayout(workflow: Workflow, scope: Scope, layout: Layout): Workflow {
  const before = layoutOf(workflow, scope);
  if (layout === before) return workflow;
  const json = writeLayout(scopeJson(workflow.ui, scope) ?? new Map(), before, layout);
  layouts.set(json, layout);
  return { ...workflow, ui: withScopeJson(workflow.ui, scope, json) };
}

export function changeLayout(
  workflow: Workflow,
  scope: Scope,
  change: (layout: Layout) => Layout,
): Workflow {
  return withLayout(workflow, scope, change(layoutOf(workflow, scope)));
}

function withScopeJson(ui: JsonObject, scope: Scope, json: JsonObject): JsonObject {
  if (scope === null) return json;
  const blocks = ui.get("subgraphs");
  const found = new Map(isObject(blocks) ? blocks : []);
  if (json.size > 0) found.set(scope, json);
  else found.delete(scope);
  return withBlocks(ui, found);
}

function withBlocks(ui: JsonObject, blocks: JsonObject): JsonObject {
  const found = new Map(ui);
  if (blocks.size > 0) found.set("subgraphs", blocks);
  else found.delete("subgraphs");
  layouts.set(found, layoutOfJson(ui));
  return found;
}

/** The workflow with a block's layout under another name, or without it (null). */
export function moveLayout(workflow: Workflow, from: string, to: string | null): Workflow {
  const blocks = workflow.ui.get("subgraphs");
  if (!isObject(blocks) || !blocks.has(from)) return workflow;
  const found = new Map<string, Json>();
  for (const [name, json] of blocks) {
    if (name !== from) found.set(name, json);
    else if (to !== null) found.set(to, json);
  }
  return { ...workflow, ui: withBlocks(workflow.ui, found) };
}

// Reading

/** How one kind of entry stands in the file; `read` gives undefined for what it can't be. */
interface Form<T> {
  readonly read: (json: Json) => T | undefined;
  readonly write: (value: T) => Json;
}

const text: Form<string> = {
  read: (json) => (typeof json === "string" ? json : undefined),
  write: (value) => value,
};

const point: Form<Point> = {
  read: (json) => {
    const [x, y] = numbers(json, 2) ?? [];
    return x === undefined || y === undefined ? undefined : { x, y };
  },
  write: ({ x, y }) => [Math.round(x), Math.round(y)],
};

const size: Form<Size> = {
  read: (json) => {
    const [width, height] = numbers(json, 1) ?? [];
    if (width === undefined) return undefined;
    return height === undefined ? { width } : { width, height };
  },
  write: ({ width, height }) =>
    height === undefined ? [Math.round(width)] : [Math.round(width), Math.round(height)],
};

const box: Form<Box> = {
  read: (json) => {
    const [x, y, width, height] = numbers(json, 4) ?? [];
    if (x === undefined || y === undefined) return undefined;
    return width === undefined || height === undefined ? undefined : { x, y, width, height };
  },
  write: ({ x, y, width, height }) => [x, y, width, height].map(Math.round),
};

/** What stands behind the numbers of a point that leads around cards. */
const AUTO = "auto";

const routePoint: Form<RoutePoint> = {
  read: (json) => {
    if (!isList(json)) return undefined;
    const at = point.read(json.filter((item) => item !== AUTO));
    return at && (json.includes(AUTO) ? { ...at, auto: true } : at);
  },
  write: ({ x, y, auto }) => [Math.round(x), Math.round(y), ...(auto ? [AUTO] : [])],
};

const points: Form<readonly RoutePoint[]> = {
  read: (json) => (isList(json) ? allOf(json.map(routePoint.read)) : undefined),
  write: (value) => value.map(routePoint.write),
};

const names: Form<ReadonlySet<string>> = {
  read: (json) => {
    const found = isList(json) ? allOf(json.map(text.read)) : undefined;
    return found && new Set(found);
  },
  write: (value) => [...value],
};

const group: Form<Group> = {
  read: (json) => {
    const parts = boxed(json, ["title"]);
    return parts && { ...parts.common, title: parts.texts[0] ?? "", ...parts.rest };
  },
  write: ({ id, title, color, box: place, extra }) => boxedJson({ id, title, color }, place, extra),
};

const note: Form<Note> = {
  read: (json) => {
    const parts = boxed(json, ["text"]);
    return parts && { ...parts.common, text: parts.texts[0] ?? "", ...parts.rest };
  },
  write: ({ id, text: says, color, box: place, extra }) =>
    boxedJson({ id, text: says, color }, place, extra),
};

const COMMENT_KEYS = [
  ...["id", "node", "author", "at", "text"],
  ...["edited", "resolved", "resolved_at", "resolved_by"],
];

const comment: Form<NodeComment> = {
  read: (json) => {
    if (!isObject(json)) return undefined;
    const [id, node, says] = ["id", "node", "text"].map((key) => json.get(key));
    if (typeof id !== "string" || typeof node !== "string" || typeof says !== "string") {
      return undefined;
    }
    const rest = new Map(json);
    for (const key of COMMENT_KEYS) rest.delete(key);
    const [edited, resolvedAt, resolvedBy] = ["edited", "resolved_at", "resolved_by"].map((key) =>
      textOr(json.get(key)),
    );
    return {
      ...{ id, node, text: says, author: textOr(json.get("author")), at: textOr(json.get("at")) },
      ...(edited ? { edited } : {}),
      resolved: json.get("resolved") === true,
      ...(resolvedAt ? { resolvedAt } : {}),
      ...(resolvedBy ? { resolvedBy } : {}),
      ...(rest.size > 0 ? { extra: rest } : {}),
    };
  },
  write: ({ id, node, author, at, text: says, edited, resolved, resolvedAt, resolvedBy, extra }) =>
    new Map<string, Json>([
      ["id", id],
      ["node", node],
      ...(author ? ([["author", author]] as const) : []),
      ...(at ? ([["at", at]] as const) : []),
      ["text", says],
      ...(edited ? ([["edited", edited]] as const) : []),
      ...(resolved ? ([["resolved", true]] as const) : []),
      ...(resolvedAt ? ([["resolved_at", resolvedAt]] as const) : []),
      ...(resolvedBy ? ([["resolved_by", resolvedBy]] as const) : []),
      ...(extra ?? []),
    ]),
};

function numbers(json: Json, least: number): readonly number[] | undefined {
  if (!isList(json) || json.length < least) return undefined;
  return allOf(json.map((item) => finite(numberOf(item))));
}

function finite(value: number | null): number | undefined {
  return value !== null && Number.isFinite(value) ? value : undefined;
}

function allOf<T>(found: readonly (T | undefined)[]): readonly T[] | undefined {
  const known = found.filter((item): item is T => item !== undefined);
  return known.length === found.length ? known : undefined;
}

interface Boxed {
  readonly common: { readonly id: string; readonly color: string; readonly box: Box };
  readonly texts: readonly string[];
  readonly rest: { readonly extra?: JsonObject };
}

function boxed(json: Json, keys: readonly string[]): Boxed | undefined {
  if (!isObject(json)) return undefined;
  const place = box.read(json.get("box") ?? null);
  const id = json.get("id");
  if (!place || typeof id !== "string") return undefined;
  const rest = new Map(json);
  for (const key of ["id", "color", "box", ...keys]) rest.delete(key);
  return {
    common: { id, color: textOr(json.get("color")), box: place },
    texts: keys.map((key) => textOr(json.get(key))),
    rest: rest.size > 0 ? { extra: rest } : {},
  };
}

function textOr(json: Json | undefined): string {
  return typeof json === "string" ? json : "";
}

function boxedJson(
  texts: Readonly<Record<string, string>>,
  place: Box,
  extra: JsonObject | undefined,
): Json {
  const found = new Map<string, Json>();
  for (const [key, value] of Object.entries(texts)) if (value) found.set(key, value);
  found.set("box", box.write(place));
  for (const [key, value] of extra ?? []) found.set(key, value);
  return found;
}

function readLayout(json: JsonObject): Layout {
  return {
    positions: readMap(json.get("positions"), point),
    sizes: readMap(json.get("sizes"), size),
    colors: readMap(json.get("colors"), text),
    collapsed: new Set(readList(json.get("collapsed"), text)),
    locked: new Set(readList(json.get("locked"), text)),
    alphaLocked: new Set(readList(json.get("alpha_locked"), text)),
    groups: readList(json.get("groups"), group),
    notes: readList(json.get("notes"), note),
    comments: readList(json.get("comments"), comment),
    reroutes: readMap(json.get("reroutes"), points),
    shown: readMap(json.get("shown"), names),
    seeds: readMap(json.get("seeds"), text),
    ends: readMap(json.get("ends"), point),
  };
}

function readMap<T>(json: Json | undefined, form: Form<T>): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  if (!isObject(json)) return found;
  for (const [key, item] of json) {
    const value = form.read(item);
    if (value !== undefined) found.set(key, value);
  }
  return found;
}

function readList<T>(json: Json | undefined, form: Form<T>): readonly T[] {
  if (!isList(json)) return [];
  return json.map(form.read).filter((item): item is NonNullable<typeof item> => item !== undefined);
}

// Writing

function writeLayout(json: JsonObject, before: Layout, layout: Layout): JsonObject {
  const found = new Map(json);
  const map = <T>(key: string, was: unknown, now: ReadonlyMap<string, T>, form: Form<T>): void => {
    if (was !== now) put(found, key, writeMap(json.get(key), now, form));
  };
  const list = <T>(key: string, was: unknown, now: Iterable<T>, form: Form<T>): void => {
    if (was !== now) put(found, key, writeList(json.get(key), now, form));
  };
  map("positions", before.positions, layout.positions, point);
  map("sizes", before.sizes, layout.sizes, size);
  map("colors", before.colors, layout.colors, text);
  list("collapsed", before.collapsed, layout.collapsed, text);
  list("locked", before.locked, layout.locked, text);
  list("alpha_locked", before.alphaLocked, layout.alphaLocked, text);
  list("groups", before.groups, layout.groups, group);
  list("notes", before.notes, layout.notes, note);
  list("comments", before.comments, layout.comments, comment);
  map("reroutes", before.reroutes, layout.reroutes, points);
  map("shown", before.shown, layout.shown, names);
  map("seeds", before.seeds, layout.seeds, text);
  map("ends", before.ends, layout.ends, point);
  return found;
}

function put(found: Map<string, Json>, key: string, value: JsonObject | readonly Json[]): void {
  const isEmpty = value instanceof Map ? value.size === 0 : (value as readonly Json[]).length === 0;
  if (isEmpty) found.delete(key);
  else found.set(key, value);
}

function writeMap<T>(
  json: Json | undefined,
  values: ReadonlyMap<string, T>,
  form: Form<T>,
): JsonObject {
  const found = new Map<string, Json>();
  const before = isObject(json) ? json : new Map<string, Json>();
  for (const [key, item] of before) if (form.read(item) === undefined) found.set(key, item);
  for (const [key, value] of values) {
    const written = form.write(value);
    const known = before.get(key);
    found.set(key, known !== undefined && sameJson(known, written) ? known : written);
  }
  return found;
}

function writeList<T>(json: Json | undefined, values: Iterable<T>, form: Form<T>): readonly Json[] {
  const before = isList(json) ? json : [];
  // What says the same stays as it was written.
  const found = [...values].map(form.write).map((written) => {
    return before.find((item) => sameJson(item, written)) ?? written;
  });
  return [...found, ...before.filter((item) => form.read(item) === undefined)];
}
