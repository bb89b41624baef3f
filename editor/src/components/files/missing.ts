/** What a workflow needs that the server doesn't have: packs, node types, models, files. */
import type { Finding } from "@/api/schema";
import { placeholderPack, placeholderType } from "@/model/comfyui";
import { nodesOf, type Scope, scopesOf } from "@/model/scope";
import { mayCome, type NodeTypes, packOf } from "@/model/spec";
import type { Workflow } from "@/model/workflow";

export interface MissingPack {
  /** The pack's name; "" for types of no pack. */
  readonly pack: string;
  /** The versions that the workflow asks for; "" for any. */
  readonly versions: string;
  readonly types: readonly string[];
  readonly places: readonly NodePlace[];
}

export interface NodePlace {
  readonly scope: Scope;
  readonly node: string;
}

export interface MissingModel {
  readonly model: string;
  readonly places: readonly NodePlace[];
}

/** Node types that aren't there by their packs, and packs that are required. */
export function missingPacks(
  workflow: Workflow,
  types: NodeTypes | null,
  told: readonly string[],
): readonly MissingPack[] {
  const packs = told.filter((pack) => placeholderType(`${pack}:`) === null);
  const found = new Map<string, Set<string>>(packs.map((pack) => [pack, new Set()]));
  const places = new Map<string, NodePlace[]>();
  for (const scope of types ? scopesOf(workflow) : []) {
    for (const [node, { type }] of nodesOf(workflow, scope)) {
      if (!types || workflow.subgraphs.has(type) || types.byName.has(type)) continue;
      if (placeholderType(type) !== null || mayCome(types, type)) continue;
      const pack = packOf(type);
      const known = found.get(pack) ?? new Set();
      found.set(pack, known.add(type));
      places.set(pack, [...(places.get(pack) ?? []), { scope, node }]);
    }
  }
  return [...found].map(([pack, names]) => ({
    pack,
    versions: workflow.requires.get(pack) ?? "",
    types: [...names],
    places: places.get(pack) ?? [],
  }));
}

/** Whether it uses node types that may still come, as their packs are being read. */
export function isAwaited(workflow: Workflow, types: NodeTypes): boolean {
  return scopesOf(workflow).some((scope) =>
    [...nodesOf(workflow, scope)].some(
      ([, { type }]) => !workflow.subgraphs.has(type) && mayCome(types, type),
    ),
  );
}

export interface Placeholder {
  /** As ComfyUI calls it. */
  readonly type: string;
  /** What brings it there; "" if that isn't known. */
  readonly pack: string;
  readonly places: readonly NodePlace[];
}

/** Nodes of ComfyUI that couldn't be translated, by their types. */
export function placeholders(workflow: Workflow): readonly Placeholder[] {
  const found = new Map<string, { pack: string; places: NodePlace[] }>();
  for (const scope of scopesOf(workflow)) {
    for (const [node, entry] of nodesOf(workflow, scope)) {
      const type = placeholderType(entry.type);
      if (type === null) continue;
      const known = found.get(type) ?? { pack: placeholderPack(entry), places: [] };
      known.places.push({ scope, node });
      found.set(type, known);
    }
  }
  return [...found].map(([type, rest]) => ({ type, ...rest }));
}

/** Models that aren't there, with the nodes that name them. */
export function missingModels(
  workflow: Workflow,
  told: readonly string[],
): readonly MissingModel[] {
  return told.map((model) => ({ model, places: placesNaming(workflow, model) }));
}

function placesNaming(workflow: Workflow, value: string): readonly NodePlace[] {
  return scopesOf(workflow).flatMap((scope) =>
    [...nodesOf(workflow, scope)].flatMap(([node, entry]) =>
      [...entry.inputs.values()].includes(value) ? [{ scope, node }] : [],
    ),
  );
}

/** Files that inputs name and that the server can't read. */
export function missingFiles(problems: readonly Finding[]): readonly Finding[] {
  return problems.filter((problem) => problem.code === "invalid-file" && problem.node !== null);
}
