/**
 * The painting canvas of a graph: its box, its layers, and what samples them.
 *
 * Nothing of it is kept besides the graph: each part here names the node that it was read from, and
 * each edit gives another graph. Coordinates are pixels of the canvas, x to the right, y down.
 */

export const LAYER_KINDS = ["raster", "mask", "control", "reference", "region"] as const;

export type LayerKind = (typeof LAYER_KINDS)[number];

/** Where a picture stands; a width or height of 0 is the picture's own. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Degrees clockwise about the middle. */
  readonly rotation: number;
}

export const AT_ORIGIN: Placement = { x: 0, y: 0, width: 0, height: 0, rotation: 0 };

export interface ControlSettings {
  /** The node that applies the control net. */
  readonly apply: string;
  /** The node that makes the picture that it takes; null where it takes the layer as it is. */
  readonly preprocessor: string | null;
  readonly strength: number;
  /** Shares of the steps, 0 to 1. */
  readonly start: number;
  readonly end: number;
}

export interface RegionSettings {
  /** The node and the input that its prompt is written in. */
  readonly prompt: string;
  /** "text" if left out. */
  readonly port?: string;
  readonly text: string;
}

/** What layers and groups have in common. */
interface EntryLook {
  readonly kind: LayerKind;
  readonly title: string;
  /** 0 to 1. */
  readonly opacity: number;
  /** How it is blended with what is below it, as W3C calls it, such as "multiply". */
  readonly mode: string;
  readonly visible: boolean;
  /** The GroupLayers node that holds it; null for none. */
  readonly parent: string | null;
}

export interface PaintLayer extends EntryLook {
  /** Its AddLayer node; of a reference its LoadImage node. */
  readonly node: string;
  /** The LoadImage node whose file is painted on; null where another node makes the picture. */
  readonly picture: { readonly node: string; readonly value: string } | null;
  /** The node whose result is its picture; null where that is a file, or nothing is linked. */
  readonly source: string | null;
  readonly placement: Placement;
  readonly locked: boolean;
  /** Strokes leave its transparency as it is. */
  readonly alphaLocked: boolean;
  /** Of references, too: the node that applies them, and their weight as the strength. */
  readonly control?: ControlSettings;
  readonly region?: RegionSettings;
}

export interface PaintGroup extends EntryLook {
  /** Its GroupLayers node. */
  readonly node: string;
}

export type PaintEntry = PaintLayer | PaintGroup;

/** What is sampled of the canvas. A sampled width or height of 0 is that of the box. */
export interface CanvasBox {
  /** Its BoundingBox node. */
  readonly node: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly sampledWidth: number;
  readonly sampledHeight: number;
}

export interface CanvasSampler {
  readonly node: string;
  readonly denoise: number;
  /** Null where it is linked or of another kind; seeds beyond 2^53 are rounded. */
  readonly seed: number | null;
  readonly steps: number | null;
}

export interface CanvasPrompt {
  readonly node: string;
  readonly port: string;
  readonly text: string;
}

export interface PaintCanvas {
  readonly box: CanvasBox;
  /** The BoundingBox nodes of the graph, the one that is shown first. */
  readonly boxes: readonly string[];
  /** Bottom first within each kind, a group after what it holds. */
  readonly entries: readonly PaintEntry[];
  readonly sampler: CanvasSampler | null;
  /** The positive one, where it is a text of the graph. */
  readonly prompt: CanvasPrompt | null;
  /** The node whose results are the candidates. */
  readonly result: string | null;
}

export function isLayer(entry: PaintEntry): entry is PaintLayer {
  return "placement" in entry;
}

/** Whether strokes can be drawn on it: its picture is a file that is its own, and not locked. */
export function isPaintable(entry: PaintEntry): entry is PaintLayer {
  return isLayer(entry) && entry.kind !== "reference" && entry.picture !== null && !entry.locked;
}

/** The size that a box is sampled at. */
export function sampledSize(box: CanvasBox): { readonly width: number; readonly height: number } {
  return {
    width: box.sampledWidth > 0 ? box.sampledWidth : box.width,
    height: box.sampledHeight > 0 ? box.sampledHeight : box.height,
  };
}

export function isGroup(entry: PaintEntry): boolean {
  return !isLayer(entry);
}
