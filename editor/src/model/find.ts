/** Finding something in a workflow: in names, labels, types, values and notes of all its graphs. */
import { ExactNumber, isObject, type Json } from "./json";
import { layoutOf } from "./layout";
import { isLink, literalOf } from "./links";
import { plainLetters } from "./plainLetters";
import { nodesOf, type Scope, scopesOf } from "./scope";
import type { NodeTypes } from "./spec";
import type { NodeEntry, Workflow } from "./workflow";

export type FoundIn =
  | "name"
  | "label"
  | "type"
  | "value"
  | "note"
  | "group"
  | "comment"
  | "parameter";

export interface Hit {
  readonly scope: Scope;
  /** The node, or "" for a hit outside of nodes. */
  readonly node: string;
  readonly port?: string;
  /** The item to select: a node's name, "note/<id>" or "group/<id>". */
  readonly item: string;
  readonly in: FoundIn;
  /** What was found, short, with where the match stands in it. */
  readonly text: string;
  readonly match: readonly [start: number, end: number];
}

/** Hits in the order of the file; names first. Case and accents say nothing. */
export function find(
  workflow: Workflow,
  query: string,
  options: { readonly types?: NodeTypes | null; readonly limit?: number } = {},
): readonly Hit[] {
  const wanted = plainLetters(query.trim());
  if (wanted === "") return [];
  const hits = scopesOf(workflow).flatMap((scope) => [
    ...[...nodesOf(workflow, scope)].flatMap(([name, entry]) =>
      inNode(workflow, scope, name, entry, wanted, options.types ?? null),
    ),
    ...outsideNodes(workflow, scope, wanted),
  ]);
  hits.sort((a, b) => RANK[a.in] - RANK[b.in]);
  return hits.slice(0, options.limit ?? 500);
}

const RANK: Readonly<Record<FoundIn, number>> = {
  name: 0,
  label: 0,
  type: 1,
  parameter: 2,
  value: 3,
  note: 4,
  group: 4,
  comment: 4,
};

function inNode(
  workflow: Workflow,
  scope: Scope,
  node: string,
  entry: NodeEntry,
  wanted: string,
  types: NodeTypes | null,
): readonly Hit[] {
  const found: Hit[] = [];
  const place = { scope, node, item: node };
  const add = (where: FoundIn, text: string, port?: string): boolean => {
    const match = matchOf(text, wanted);
    if (!match) return false;
    found.push({ ...place, ...(port === undefined ? {} : { port }), in: where, ...match });
    return true;
  };
  add("label", entry.label) || add("name", node);
  const spec = types?.byName.get(entry.type);
  add("type", spec?.label ?? "") ||
    add("type", spec?.englishLabel ?? "") ||
    add("type", entry.type);
  add("note", entry.note);
  for (const comment of layoutOf(workflow, scope).comments) {
    if (comment.node === node) add("comment", comment.text);
  }
  for (const [port, value] of entry.inputs) {
    if (!isLink(value)) add("value", textOf(literalOf(value)), port);
  }
  if (scope === null) {
    for (const [name, parameter] of workflow.parameters) {
      const [target, port] = splitTarget(parameter.input);
      if (target === node) add("parameter", parameter.label || name, port);
    }
  }
  return found;
}

function splitTarget(input: string): readonly [string, string] {
  const dot = input.indexOf(".");
  return [input.slice(0, dot), input.slice(dot + 1)];
}

function outsideNodes(workflow: Workflow, scope: Scope, wanted: string): readonly Hit[] {
  const layout = layoutOf(workflow, scope);
  const items = [
    ...layout.notes.map((note) => ["note", `note/${note.id}`, note.text] as const),
    ...layout.groups.map((group) => ["group", `group/${group.id}`, group.title] as const),
  ];
  return items.flatMap(([where, item, text]) => {
    const match = matchOf(text, wanted);
    return match ? [{ scope, node: "", item, in: where, ...match }] : [];
  });
}

const SHOWN = 80;

/** The part of a text around the first match. */
function matchOf(text: string, wanted: string): Pick<Hit, "text" | "match"> | null {
  const line = text.replace(/\s+/g, " ");
  const at = plainLetters(line).indexOf(wanted);
  if (at < 0) return null;
  const from = at + wanted.length <= SHOWN ? 0 : Math.max(0, at - 20);
  const head = from > 0 ? "…" : "";
  const cut = line.slice(from, from + SHOWN);
  const tail = from + SHOWN < line.length ? "…" : "";
  const start = at - from + head.length;
  return { text: head + cut + tail, match: [start, start + wanted.length] };
}

function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (value instanceof ExactNumber) return value.text;
  if (isObject(value)) return [...value].map(([key, item]) => `${key} ${textOf(item)}`).join(" ");
  return Array.isArray(value) ? value.map(textOf).join(" ") : String(value);
}
