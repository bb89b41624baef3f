/** Workflows as the engine writes them. */
import { compareTexts, isObject, type Json, type JsonObject, writeJson } from "../json";
import type { NodeEntry, Parameter, Subgraph, SubgraphInput, Workflow } from "./value";

const texts = new WeakMap<Workflow, string>();

/** The file's text: the same for the same workflow, with the author's order; only `ui` is sorted. */
export function writeWorkflow(workflow: Workflow): string {
  const known = texts.get(workflow);
  if (known !== undefined) return known;
  const blocks = [...workflow.subgraphs.keys()].map((name) => ["subgraphs", name, "nodes"]);
  const text = writeJson(workflowToJson(workflow), [[], ["nodes"], ["subgraphs"], ...blocks]);
  texts.set(workflow, text);
  return text;
}

/** What the file says: known keys in a fixed order, then unknown ones by name. */
export function workflowToJson(workflow: Workflow): JsonObject {
  const found = new Map<string, Json>([["format", workflow.format]]);
  if (workflow.title) found.set("title", workflow.title);
  if (workflow.description) found.set("description", workflow.description);
  putParts(found, "parameters", workflow.parameters, writeParameter);
  found.set("nodes", mapValues(workflow.nodes, nodeToJson));
  putParts(found, "subgraphs", workflow.subgraphs, subgraphToJson);
  putParts(found, "requires", workflow.requires, (text) => text);
  if (workflow.ui.size > 0) found.set("ui", sorted(workflow.ui, 8));
  return withExtra(found, workflow.extra);
}

export function nodeToJson(entry: NodeEntry): Json {
  const found = new Map<string, Json>([["type", entry.type]]);
  if (entry.version !== null) found.set("version", entry.version);
  if (entry.inputs.size > 0) found.set("inputs", entry.inputs);
  if (entry.label) found.set("label", entry.label);
  if (entry.note) found.set("note", entry.note);
  if (entry.always) found.set("always", true);
  if (entry.mode) found.set("mode", entry.mode);
  return withExtra(found, entry.extra);
}

function writeParameter(parameter: Parameter): Json {
  const found = new Map<string, Json>([["input", parameter.input]]);
  if (parameter.label) found.set("label", parameter.label);
  if (parameter.help) found.set("help", parameter.help);
  withExtra(found, parameter.extra);
  return found.size === 1 ? parameter.input : found;
}

function writeSubgraphInput(input: SubgraphInput): Json {
  const found = new Map<string, Json>();
  if (input.type) found.set("type", input.type);
  if (input.to.length > 0) found.set("to", input.to);
  if (input.help) found.set("help", input.help);
  return withExtra(found, input.extra);
}

export function subgraphToJson(block: Subgraph): Json {
  const found = new Map<string, Json>();
  putParts(found, "inputs", block.inputs, writeSubgraphInput);
  putParts(found, "outputs", block.outputs, (text) => text);
  putParts(found, "nodes", block.nodes, nodeToJson);
  return withExtra(found, block.extra);
}

function putParts<T>(
  found: Map<string, Json>,
  key: string,
  parts: ReadonlyMap<string, T>,
  write: (part: T) => Json,
): void {
  if (parts.size > 0) found.set(key, mapValues(parts, write));
}

function mapValues<T>(parts: ReadonlyMap<string, T>, write: (part: T) => Json): JsonObject {
  const found = new Map<string, Json>();
  for (const [name, part] of parts) found.set(name, write(part));
  return found;
}

function withExtra(found: Map<string, Json>, extra: JsonObject): JsonObject {
  for (const key of sortedKeys(extra)) found.set(key, extra.get(key) ?? null);
  return found;
}

function sortedKeys(object: JsonObject): readonly string[] {
  return [...object.keys()].sort(compareTexts);
}

/** Objects by key, down to some level, so that two editors' files merge. */
function sorted(value: Json, levels: number): Json {
  if (!isObject(value) || levels === 0) return value;
  const found = new Map<string, Json>();
  for (const key of sortedKeys(value)) found.set(key, sorted(value.get(key) ?? null, levels - 1));
  return found;
}
