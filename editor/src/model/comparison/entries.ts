/** Differences of workflows and conflicts of merges, as the server states them. */
import { isList, isObject, type Json, type JsonObject, numberOf } from "../json";
import { linkOf, linkText } from "../links";
import type { Scope } from "../scope";

/** A key of the file; in lists, the id of an object or a text, after "id " or "is ". */
export type Step = string;
export type EntryPath = readonly Step[];
export type Verb = "added" | "removed" | "renamed" | "changed";
/** The first workflow of a comparison, or the second. */
export type Side = "first" | "second";

export interface Entry {
  readonly verb: Verb;
  readonly kind: string;
  /** Removed and renamed parts have their place in the first workflow, others in the second. */
  readonly path: EntryPath;
  /** Undefined: there is none. */
  readonly before: Json | undefined;
  readonly after: Json | undefined;
  /** Places that change with it. */
  readonly moved: readonly EntryPath[];
  /** Whether only the layout differs. */
  readonly quiet: boolean;
}

export interface Conflict {
  readonly kind: string;
  readonly reason: string;
  readonly path: EntryPath;
  readonly base: Json | undefined;
  readonly ours: Json | undefined;
  readonly theirs: Json | undefined;
  readonly quiet: boolean;
  /** Indices of the entries of both sides that take part in it. */
  readonly ourEntries: readonly number[];
  readonly theirEntries: readonly number[];
}

export interface Merged {
  /** The document of the merged workflow. */
  readonly document: JsonObject;
  readonly conflicts: readonly Conflict[];
  readonly ours: readonly Entry[];
  readonly theirs: readonly Entry[];
  readonly skippedOurs: readonly number[];
  readonly skippedTheirs: readonly number[];
}

/** SHA-256 digests that workflows state for their models, by name. */
export type Digests = ReadonlyMap<string, string>;

export interface Comparison {
  readonly entries: readonly Entry[];
  readonly digests: Digests;
}

/** Read the answer of POST /compare. */
export function comparisonOf(answer: Json): Comparison {
  const models = isObject(answer) ? answer.get("models") : undefined;
  const digests = new Map<string, string>();
  for (const side of isObject(models) ? models.values() : []) {
    for (const [name, digest] of isObject(side) ? side : []) digests.set(name, String(digest));
  }
  return { entries: listOf(answer, "changes").map(entryOf), digests };
}

/** Read the answer of POST /merge. */
export function mergedOf(answer: Json): Merged {
  const document = isObject(answer) ? answer.get("workflow") : undefined;
  return {
    document: isObject(document) ? document : new Map(),
    conflicts: listOf(answer, "conflicts").map(conflictOf),
    ours: listOf(answer, "ours").map(entryOf),
    theirs: listOf(answer, "theirs").map(entryOf),
    skippedOurs: listOf(answer, "skipped_ours").map(indexOf),
    skippedTheirs: listOf(answer, "skipped_theirs").map(indexOf),
  };
}

function listOf(value: Json | undefined, key: string): readonly Json[] {
  const list = isObject(value) ? value.get(key) : undefined;
  return isList(list) ? list : [];
}

function textOf(value: Json, key: string): string {
  const text = isObject(value) ? value.get(key) : undefined;
  return typeof text === "string" ? text : "";
}

function indexOf(value: Json): number {
  return numberOf(value) ?? -1;
}

function entryOf(value: Json): Entry {
  const verb = textOf(value, "change") as Verb;
  return {
    verb,
    kind: textOf(value, "kind"),
    path: pathOf(listOf(value, "path")),
    before: verb === "added" || !isObject(value) ? undefined : value.get("before"),
    after: verb === "removed" || !isObject(value) ? undefined : value.get("after"),
    moved: listOf(value, "moved").map((path) => pathOf(isList(path) ? path : [])),
    quiet: isObject(value) && value.get("quiet") === true,
  };
}

function conflictOf(value: Json): Conflict {
  const absent = listOf(value, "absent");
  const side = (name: string) =>
    absent.includes(name) || !isObject(value) ? undefined : value.get(name);
  return {
    kind: textOf(value, "kind"),
    reason: textOf(value, "reason"),
    path: pathOf(listOf(value, "path")),
    base: side("base"),
    ours: side("ours"),
    theirs: side("theirs"),
    quiet: isObject(value) && value.get("quiet") === true,
    ourEntries: listOf(value, "our_changes").map(indexOf),
    theirEntries: listOf(value, "their_changes").map(indexOf),
  };
}

function pathOf(steps: readonly Json[]): EntryPath {
  return steps.map((step) => {
    if (!isObject(step)) return String(step);
    const [[kind, name] = ["", ""]] = [...step];
    return `${kind} ${String(name)}`;
  });
}

// Places

/** A node or an input of one, in a graph; the node is null for what is none. */
export interface Place {
  readonly scope: Scope;
  readonly node: string | null;
  readonly port: string | null;
}

/** The place that a path names; null for what is in no graph, such as the title. */
export function placeOf(path: EntryPath): Place | null {
  const [first, second] = path;
  if (first === "subgraphs" && second !== undefined) {
    return { scope: second, ...nodeOf(path.slice(2)) };
  }
  if (first === "nodes") return { scope: null, ...nodeOf(path) };
  return null;
}

function nodeOf([part, node, field, port]: EntryPath): Pick<Place, "node" | "port"> {
  if (part !== "nodes" || node === undefined) return { node: null, port: null };
  return { node, port: field === "inputs" ? (port ?? null) : null };
}

/** Names in the second workflow by those in the first, of parts that were renamed. */
export interface NewNames {
  readonly blocks: ReadonlyMap<string, string>;
  /** By the name that their graph has in the first workflow. */
  readonly nodes: ReadonlyMap<Scope, ReadonlyMap<string, string>>;
}

export function newNames(entries: readonly Entry[]): NewNames {
  const blocks = new Map<string, string>();
  const nodes = new Map<Scope, Map<string, string>>();
  for (const { verb, kind, path, before, after } of entries) {
    if (verb !== "renamed" || typeof before !== "string" || typeof after !== "string") continue;
    if (kind === "subgraph") blocks.set(before, after);
    if (kind !== "node") continue;
    const scope = placeOf(path)?.scope ?? null;
    nodes.set(scope, (nodes.get(scope) ?? new Map()).set(before, after));
  }
  return { blocks, nodes };
}

/** A place of one workflow as it is called in the other one. */
export function placeOn(side: Side, place: Place, from: Side, names: NewNames): Place {
  if (side === from) return place;
  const { scope, node } = place;
  if (from === "first") {
    const there = scope === null ? null : (names.blocks.get(scope) ?? scope);
    const name = node === null ? null : (names.nodes.get(scope)?.get(node) ?? node);
    return { ...place, scope: there, node: name };
  }
  const back = scope === null ? null : (keyOf(names.blocks, scope) ?? scope);
  const table = names.nodes.get(back);
  return { ...place, scope: back, node: (node && table && keyOf(table, node)) ?? node };
}

function keyOf(table: ReadonlyMap<string, string>, value: string): string | undefined {
  return [...table].find(([, name]) => name === value)?.[0];
}

/** The workflow that an entry's own path belongs to. */
export function sideOf({ verb }: Pick<Entry, "verb">): Side {
  return verb === "removed" || verb === "renamed" ? "first" : "second";
}

/** The source of a link, "node.port"; null for other values. */
export function sourceText(value: Json | undefined): string | null {
  const link = linkOf(value);
  return link === null ? null : linkText(link);
}
