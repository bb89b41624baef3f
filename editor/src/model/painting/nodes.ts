/** The node types that a canvas is made of, and the values of their inputs. */
import { floatJson, type Json, numberOf } from "../json";
import { literalJson, literalOf } from "../links";
import { nodeOf, type Scope } from "../scope";
import type { NodeEntry, Workflow } from "../workflow";

export const BOX = "BoundingBox";
export const LAYER = "AddLayer";
export const GROUP = "GroupLayers";
export const FLATTEN = "FlattenLayers";
export const LOAD = "LoadImage";
export const SAVE = "SaveLayers";

/** What all edits need besides a sampler. */
export const CANVAS_TYPES = [BOX, LAYER, GROUP, FLATTEN, LOAD] as const;

/** Inputs of nodes of layers where nothing is written. */
const USUAL: Readonly<Record<string, Json>> = {
  x: 0,
  y: 0,
  width: 0,
  height: 0,
  rotation: 0,
  opacity: 1,
  mode: "normal",
  visible: true,
  name: "",
};
const USUAL_BOX: Readonly<Record<string, Json>> = { ...USUAL, width: 512, height: 512 };
/** Those that files write as "1.0". */
const FLOATS = new Set(["rotation", "opacity", "strength", "weight", "start", "end", "denoise"]);

export function isChainNode(entry: NodeEntry | null): boolean {
  return entry?.type === LAYER || entry?.type === GROUP;
}

/** An input's literal value as written, or else what counts without one; undefined for a link. */
export function valueAt(entry: NodeEntry, port: string): Json | undefined {
  if (entry.inputs.has(port)) return literalOf(entry.inputs.get(port));
  return (entry.type === BOX ? USUAL_BOX : USUAL)[port];
}

export function numberAt(entry: NodeEntry, port: string, otherwise = 0): number {
  return numberOf(valueAt(entry, port)) ?? otherwise;
}

export function textAt(entry: NodeEntry, port: string): string {
  const value = valueAt(entry, port);
  return typeof value === "string" ? value : "";
}

export function flagAt(entry: NodeEntry, port: string): boolean {
  return valueAt(entry, port) !== false;
}

/** A value as the file has it for an input of this name. */
export function written(port: string, value: string | number | boolean): Json {
  if (typeof value !== "number") return literalJson(value);
  return FLOATS.has(port) ? floatJson(value) : Math.round(value) || 0;
}

export function typeIn(workflow: Workflow, scope: Scope, node: string): string | null {
  return nodeOf(workflow, scope, node)?.type ?? null;
}
