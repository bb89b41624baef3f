/** The layers of a canvas as they are composited: groups in groups, and what is shown tinted. */
import {
  isLayer,
  type LayerKind,
  type PaintCanvas,
  type PaintEntry,
  type PaintLayer,
  type Placement,
} from "@/model/painting/types";
import type { Point } from "./geometry";
import { moved } from "./transform";

export interface LayerItem {
  readonly kind: "layer";
  readonly node: string;
  readonly layer: PaintLayer;
  readonly opacity: number;
  readonly mode: string;
}

/** Composited by itself first, then as a whole. */
export interface GroupItem {
  readonly kind: "group";
  /** Null of layers that are only shown together. */
  readonly node: string | null;
  readonly items: readonly TreeItem[];
  readonly opacity: number;
  readonly mode: string;
  /** The color in which its coverage is shown; null for its own colors. */
  readonly tint: string | null;
}

export type TreeItem = LayerItem | GroupItem;

/** Masks and regions let the picture below be seen. */
const TINT_OPACITY = 0.5;
const MASK_TINT = "#e5484d";
/** Control layers are shown over the picture that they guide, which is seen through them. */
const CONTROL_OPACITY = 0.5;
const REGION_TINTS = ["#3e8ef7", "#30a46c", "#f5a524", "#a855f7", "#14b8c4", "#ec4899"];

/** Visible items, bottom first: pictures, then control layers, regions and the mask over them. */
export function layerTree(
  canvas: PaintCanvas,
  tintOf?: (layer: PaintLayer) => string,
): readonly TreeItem[] {
  const of = (kind: LayerKind) => itemsOf(canvas, kind, null);
  const regions = [...byRegion(canvas.entries)].flatMap(([prompt, first], index) => {
    const items = of("region").filter((item) => regionOf(item) === prompt);
    const tint = tintOf?.(first) ?? REGION_TINTS[index % REGION_TINTS.length] ?? MASK_TINT;
    return tinted(items, tint);
  });
  const mask = canvas.entries.filter(isLayer).find(({ kind }) => kind === "mask");
  const maskTint = mask && tintOf?.(mask);
  return [
    ...of("raster"),
    ...shownThrough(of("control")),
    ...regions,
    ...tinted(of("mask"), maskTint ?? MASK_TINT),
  ];
}

/** The items of a kind alone, such as for the picture that is generated from. */
export function itemsOf(
  canvas: PaintCanvas,
  kind: LayerKind,
  parent: string | null,
): readonly TreeItem[] {
  return canvas.entries
    .filter((entry) => entry.kind === kind && entry.parent === parent && entry.visible)
    .map((entry) => itemOf(canvas, entry));
}

/** Some layers and groups alone, bottom first: groups with what is seen in them. */
export function itemsFor(canvas: PaintCanvas, nodes: readonly string[]): readonly TreeItem[] {
  return canvas.entries
    .filter(({ node, visible }) => visible && nodes.includes(node))
    .map((entry) => itemOf(canvas, entry));
}

function itemOf(canvas: PaintCanvas, entry: PaintEntry): TreeItem {
  const { node, opacity, mode, kind } = entry;
  if (isLayer(entry)) return { kind: "layer", node, layer: entry, opacity, mode };
  return { kind: "group", node, items: itemsOf(canvas, kind, node), opacity, mode, tint: null };
}

/** The layers of a tree, bottom first. */
export function layersOf(items: readonly TreeItem[]): readonly PaintLayer[] {
  return items.flatMap((item) => (item.kind === "layer" ? [item.layer] : layersOf(item.items)));
}

export function holds(item: TreeItem, node: string | null): boolean {
  if (node === null) return false;
  if (item.node === node) return true;
  return item.kind === "group" && item.items.some((each) => holds(each, node));
}

function tinted(items: readonly TreeItem[], tint: string): readonly TreeItem[] {
  if (items.length === 0) return [];
  return [{ kind: "group", node: null, items, opacity: TINT_OPACITY, mode: "normal", tint }];
}

function shownThrough(items: readonly TreeItem[]): readonly TreeItem[] {
  if (items.length === 0) return [];
  const look = { opacity: CONTROL_OPACITY, mode: "normal", tint: null };
  return [{ kind: "group", node: null, items, ...look }];
}

/** The first layer of each region's prompt. */
/** The layers in a group and in groups within it; none if no group is of that node. */
export function layersIn(
  entries: readonly PaintEntry[],
  group: string | null,
): readonly PaintLayer[] {
  if (group === null) return [];
  return entries
    .filter(({ parent }) => parent === group)
    .flatMap((entry) => (isLayer(entry) ? [entry] : layersIn(entries, entry.node)));
}

/** Where layers are once they are moved together. */
export function movedBy(
  layers: readonly PaintLayer[],
  { x, y }: Point,
): ReadonlyMap<string, Placement> {
  return new Map(layers.map(({ node, placement }) => [node, moved(placement, x, y)]));
}

function byRegion(entries: readonly PaintEntry[]): ReadonlyMap<string, PaintLayer> {
  const found = new Map<string, PaintLayer>();
  for (const entry of entries.filter(isLayer)) {
    if (entry.kind !== "region") continue;
    const prompt = entry.region?.prompt ?? "";
    if (!found.has(prompt)) found.set(prompt, entry);
  }
  return found;
}

function regionOf(item: TreeItem): string {
  if (item.kind === "layer") return item.layer.region?.prompt ?? "";
  const [first] = layersOf([item]);
  return first?.region?.prompt ?? "";
}
