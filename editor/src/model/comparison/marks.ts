/** What a comparison marks in the drawings of both workflows: cards, rows of cards, and links. */
import type { Json } from "../json";
import type { Scope } from "../scope";
import {
  type Entry,
  newNames,
  type Place,
  placeOf,
  placeOn,
  type Side,
  sideOf,
  sourceText,
  type Verb,
} from "./entries";

export interface Marks {
  readonly nodes: ReadonlyMap<string, Verb>;
  /** Inputs whose value differs, as "node.port". */
  readonly inputs: ReadonlyMap<string, Verb>;
  /** Links by the input that they feed, "node.port". */
  readonly links: ReadonlyMap<string, Verb>;
}

/** A graph of the comparison, by its name on each side; undefined where it isn't. */
export interface ComparedGraph {
  readonly first: Scope | undefined;
  readonly second: Scope | undefined;
  /** Entries in it, by their indices. */
  readonly entries: readonly number[];
}

const NONE: Marks = { nodes: new Map(), inputs: new Map(), links: new Map() };

/** The marks of one side, by graph. */
export function marksOf(entries: readonly Entry[], side: Side): ReadonlyMap<Scope, Marks> {
  const names = newNames(entries);
  const result = new Map<Scope, MutableMarks>();
  for (const entry of entries) {
    if (entry.quiet) continue;
    const own = placeOf(entry.path);
    if (own?.node) mark(entry, placeOn(side, own, sideOf(entry), names), side, result);
    for (const path of entry.moved) markMoved(entry, path, side, result);
  }
  return result;
}

export function marksIn(marks: ReadonlyMap<Scope, Marks>, scope: Scope | undefined): Marks {
  return (scope !== undefined && marks.get(scope)) || NONE;
}

interface MutableMarks {
  readonly nodes: Map<string, Verb>;
  readonly inputs: Map<string, Verb>;
  readonly links: Map<string, Verb>;
}

function graphOf(result: Map<Scope, MutableMarks>, scope: Scope): MutableMarks {
  const known = result.get(scope) ?? { nodes: new Map(), inputs: new Map(), links: new Map() };
  result.set(scope, known);
  return known;
}

function mark(
  entry: Entry,
  { scope, node, port }: Place,
  side: Side,
  result: Map<Scope, MutableMarks>,
): void {
  if (node === null) return;
  const marks = graphOf(result, scope);
  if (entry.kind === "node") {
    const isThere = entry.verb === "renamed" || (entry.verb === "added") === (side === "second");
    if (isThere) marks.nodes.set(node, entry.verb);
    return;
  }
  if (!marks.nodes.has(node)) marks.nodes.set(node, "changed");
  if (port === null) return;
  const value = side === "first" ? entry.before : entry.after;
  if (value === undefined) return;
  const verb = sourceText(value) === null ? entry.verb : linkVerb(entry, side);
  (sourceText(value) === null ? marks.inputs : marks.links).set(`${node}.${port}`, verb);
}

/** A link that leads elsewhere is gone on one side and new on the other. */
function linkVerb({ before, after }: Entry, side: Side): Verb {
  const isSame = sourceText(before) === sourceText(after);
  if (isSame) return "changed";
  return side === "first" ? "removed" : "added";
}

/** Links to a removed node go with it. */
function markMoved(
  { verb, kind }: Entry,
  path: Entry["path"],
  side: Side,
  result: Map<Scope, MutableMarks>,
): void {
  if (verb !== "removed" || kind !== "node" || side !== "first") return;
  const place = placeOf(path);
  if (place?.node && place.port !== null) {
    graphOf(result, place.scope).links.set(`${place.node}.${place.port}`, "removed");
  }
}

/** The graphs with entries, the workflow's own first. */
export function graphsOf(entries: readonly Entry[]): readonly ComparedGraph[] {
  const names = newNames(entries);
  const gone = new Set<Json | undefined>();
  const come = new Set<Json | undefined>();
  for (const { verb, kind, path } of entries) {
    if (kind === "subgraph" && verb === "removed") gone.add(path[1]);
    if (kind === "subgraph" && verb === "added") come.add(path[1]);
  }
  const graphs = new Map<string, { graph: ComparedGraph; entries: number[] }>();
  const add = (first: Scope | undefined, second: Scope | undefined, at: number | null) => {
    const key = `${second === undefined ? "-" : "+"}${second ?? first ?? ""}`;
    const known = graphs.get(key) ?? { graph: { first, second, entries: [] }, entries: [] };
    if (at !== null) known.entries.push(at);
    graphs.set(key, known);
  };
  add(null, null, null);
  entries.forEach((entry, at) => {
    const place = placeOf(entry.path);
    if (place === null) return;
    const side = sideOf(entry);
    const first = placeOn("first", place, side, names).scope;
    const second = placeOn("second", place, side, names).scope;
    if (first !== null && gone.has(first) && side === "first") add(first, undefined, at);
    else if (second !== null && come.has(second) && side === "second") add(undefined, second, at);
    else add(first, second, at);
  });
  return [...graphs.values()].map(({ graph, entries: own }) => ({ ...graph, entries: own }));
}
