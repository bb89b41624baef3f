/** The node types that a canvas is made of, and the values of their inputs. */
import { floatJson, type Json, numberOf } from "../json";
import { literalJson, literalOf } from "../links";
import { inputOf, type NodeTypes } from "../spec";
import type { NodeEntry } from "../workflow";

export const BOX = "BoundingBox";
export const LAYER = "AddLayer";
export const GROUP = "GroupLayers";
export const FLATTEN = "FlattenLayers";
export const LOAD = "LoadImage";
export const SAVE = "SaveLayers";
/** Of LoadImage: whether pictures keep their transparency. */
const ALPHA = "alpha";

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

/** The inputs of a node that loads a layer's picture: with its transparency. */
export function loadingInputs(types: NodeTypes, value: string): Readonly<Record<string, Json>> {
  const spec = types.byName.get(LOAD);
  return { path: value, ...(spec && inputOf(spec, ALPHA) ? { [ALPHA]: true } : {}) };
}
