/** A workflow with a patch. Nodes, blocks and layouts that it doesn't touch stay the same objects. */
import { isObject, type Json, type JsonObject } from "../json";
import { NOTHING, type Workflow, workflowFromJson, workflowToJson } from "../workflow";
import { nodeFromJson, subgraphFromJson } from "../workflow/reading";
import { nodeToJson, subgraphToJson } from "../workflow/writing";
import { applyToJson, isKey, type Patch, type Renamed, renamesOf } from "./patch";

/** Throws a `NameTaken`, and a `WorkflowFault` if the workflow would be none any more. */
export function applyPatch(workflow: Workflow, patch: Patch): Workflow {
  if (patch.length === 0) return workflow;
  const nodes = touched(patch, "nodes");
  const blocks = touched(patch, "subgraphs");
  const renames = renamesOf(patch).filter(({ scope }) => scope === null);
  const before = new Map(otherParts(workflow));
  const nodesBefore = partsOf(workflow.nodes, nodes, nodeToJson);
  const blocksBefore = partsOf(workflow.subgraphs, blocks, subgraphToJson);
  before.set("nodes", nodesBefore);
  if (blocksBefore.size > 0) before.set("subgraphs", blocksBefore);
  const after = applyToJson(before, patch);
  if (after === before) return workflow;
  const found = isSame(before, after) ? workflow : withOtherParts(workflow, before, after);
  return {
    ...found,
    nodes: merged(
      withKeys(workflow.nodes, renames),
      nodes,
      withKeys(nodesBefore, renames),
      after.get("nodes"),
      nodeFromJson,
    ),
    subgraphs: merged(
      workflow.subgraphs,
      blocks,
      blocksBefore,
      after.get("subgraphs"),
      subgraphFromJson,
    ),
  };
}

/** Everything but nodes and blocks; `ui` as the very object that it is. */
function otherParts(workflow: Workflow): JsonObject {
  const small = { ...workflow, nodes: new Map(), subgraphs: new Map(), ui: NOTHING };
  const json = new Map(workflowToJson(small));
  if (workflow.ui.size > 0) json.set("ui", workflow.ui);
  return json;
}

function isSame(before: JsonObject, after: JsonObject): boolean {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].every(
    (key) => key === "nodes" || key === "subgraphs" || before.get(key) === after.get(key),
  );
}

function withOtherParts(workflow: Workflow, before: JsonObject, after: JsonObject): Workflow {
  const json = new Map(after).set("nodes", NOTHING);
  json.delete("subgraphs");
  json.delete("ui");
  const read = workflowFromJson(json);
  const ui = after.get("ui") ?? NOTHING;
  const isUnchanged = before.get("parameters") === after.get("parameters");
  return {
    ...read,
    parameters: isUnchanged ? workflow.parameters : read.parameters,
    ui: isObject(ui) ? ui : NOTHING,
  };
}

function touched(patch: Patch, top: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { path, value, renames } of patch) {
    if (path[0] !== top || !isKey(path[1])) continue;
    names.add(path[1]);
    if (renames && path.length === 2) names.add(String(value));
  }
  return names;
}

function partsOf<T>(
  parts: ReadonlyMap<string, T>,
  names: ReadonlySet<string>,
  write: (part: T) => Json,
): JsonObject {
  const found = new Map<string, Json>();
  for (const name of names) {
    const part = parts.get(name);
    if (part !== undefined) found.set(name, write(part));
  }
  return found;
}

/** Renamed parts stay the same objects, and where they are. */
function withKeys<T>(
  parts: ReadonlyMap<string, T>,
  renames: readonly Renamed[],
): ReadonlyMap<string, T> {
  let found = parts;
  for (const { from, to } of renames) {
    if (!found.has(from) || found.has(to)) continue;
    found = new Map([...found].map(([key, part]) => [key === from ? to : key, part]));
  }
  return found;
}

function merged<T>(
  parts: ReadonlyMap<string, T>,
  names: ReadonlySet<string>,
  before: JsonObject,
  after: Json | undefined,
  read: (json: Json) => T,
): ReadonlyMap<string, T> {
  const now = isObject(after) ? after : NOTHING;
  const found = new Map(parts);
  let isChanged = false;
  for (const name of names) {
    const json = now.get(name);
    if (json === before.get(name)) continue;
    isChanged = true;
    if (json === undefined) found.delete(name);
    else found.set(name, read(json));
  }
  return isChanged ? found : parts;
}
