/** Entries of comparisons and conflicts in words: what it is, where it is, and its values. */
import { t } from "@/i18n";
import type { Digests, EntryPath, Verb } from "@/model/comparison/entries";
import { sourceText } from "@/model/comparison/entries";
import { isObject, type Json, valueText } from "@/model/json";
import { literalOf } from "@/model/links";

/** What stands for a verb besides its colour. */
export const SIGNS: Readonly<Record<Verb, string>> = {
  added: "+",
  removed: "−",
  changed: "≠",
  renamed: "→",
};

/** Kinds that have a word of their own; others are named as the file names them. */
const KINDS: Readonly<Record<string, string>> = {
  node: "node",
  subgraph: "subgraph",
  "subgraph input": "port",
  "subgraph output": "port",
  parameter: "parameter",
  type: "type",
  version: "version",
  input: "input",
  link: "link",
  mode: "mode",
  label: "label",
  note: "note",
  comment: "comment",
  layout: "layout",
  requirement: "requirement",
  model: "model",
  metadata: "metadata",
  title: "title",
  description: "description",
};

export function kindText(kind: string): string {
  const known = KINDS[kind];
  return known === undefined ? kind : t(`comparison.kind.${known}`);
}

export function verbText(verb: Verb): string {
  return t(`comparison.verb.${verb}`);
}

/** The place that a path names: "Block › sample.steps". */
export function placeText(path: EntryPath): string {
  const [first, second] = path;
  if (first === "subgraphs" && second !== undefined) {
    const inner = path.slice(2);
    if (inner.length === 0) return second;
    const [part, name] = inner;
    const own = part === "inputs" || part === "outputs" ? name : innerText(inner);
    return own === undefined || own === "" ? second : `${second} › ${own}`;
  }
  if (first === "ui") return path.slice(1).map(plainStep).join(".");
  if (first === "parameters" || first === "requires" || first === "metadata") return second ?? "";
  return innerText(path);
}

function innerText([part, node, field, port]: EntryPath): string {
  if (part !== "nodes" || node === undefined) return "";
  return field === "inputs" && port !== undefined ? `${node}.${port}` : node;
}

function plainStep(step: string): string {
  return step.replace(/^(id|is) /, "");
}

/** A value in a line: the source of a link, the type of a node, else as JSON without quotes. */
export function sideText(value: Json | undefined, digests?: Digests): string {
  if (value === undefined) return t("comparison.nothing");
  const source = sourceText(value);
  if (source !== null) return `← ${source}`;
  if (isObject(value)) {
    const type = value.get("type");
    if (typeof type === "string") return type;
    const nodes = value.get("nodes");
    if (isObject(nodes)) return t("comparison.nodes", { count: nodes.size });
  }
  const literal = literalOf(value) ?? null;
  const text = typeof literal === "string" ? literal || "“”" : valueText(literal);
  const digest = typeof literal === "string" ? digests?.get(literal) : undefined;
  return digest === undefined ? text : `${text} (sha256 ${digest.slice(0, DIGEST)}…)`;
}

const DIGEST = 12;
