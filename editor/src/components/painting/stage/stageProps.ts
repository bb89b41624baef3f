/** What the stage takes and offers: the contract between it and the view around it. */
import type { Ref } from "react";
import type { ObjectPrompt } from "@/model/painting/objects";
import type { CanvasBox, PaintCanvas, PaintLayer, Placement } from "@/model/painting/types";
import type { Edit } from "./pixels/surface";
import type { ToolState } from "./tools";

/** Which part of the canvas is seen: the canvas point at the stage's top left corner, and its scale. */
export interface StageView {
  readonly x: number;
  readonly y: number;
  /** CSS pixels for one pixel of the canvas. */
  readonly zoom: number;
}

/** The new picture of a layer. */
export interface PaintedPicture {
  /** PNG with transparency, cropped to what is painted. */
  readonly blob: Promise<Blob>;
  /** Own size, no rotation; it lies at whole pixels. */
  readonly placement: Placement;
  /** What was done, for the history; translated. */
  readonly label: string;
  /** What was drawn: its file takes longer to be made. */
  readonly edit: Edit;
  /** Edits with the same text are one step to undo. */
  readonly merge?: string | undefined;
}

/** By the nodes of layers. */
export type Placements = ReadonlyMap<string, Placement>;

export interface StageProps {
  /** What it is called; left out: a canvas, and the layer that is painted on. */
  readonly label?: string;
  /** Its keys in words; left out: those of a canvas. */
  readonly keys?: string;
  readonly canvas: PaintCanvas;
  /** The node of the layer that is painted on and moved. */
  readonly active: string | null;
  readonly tool: ToolState;
  /** The URL of a picture of the graph, such as `upload:…`. */
  pictureOf(value: string): string;
  /** The URL of a picture that a node computed; null if there is none yet. */
  sourceOf(node: string): string | null;
  /** The result that is shown on the canvas. */
  readonly candidate: {
    readonly url: string;
    readonly placement: Placement;
    /** 0 to 1; 1 if it is left out. */
    readonly opacity?: number;
  } | null;
  /** Of the running job, shown in the box; `share` from 0 to 1. */
  readonly progress: { readonly preview: string | null; readonly share: number } | null;
  readonly view: StageView;
  onView(view: StageView): void;
  /**
   * A layer was painted on. Gives the value under which the stage keeps the pixels it has, once the
   * graph has it; a failure takes the stroke back. Strokes must come into the graph in their order.
   */
  onPicture(layer: PaintLayer, picture: PaintedPicture): Promise<string>;
  /** Layers are moved, scaled or rotated together; `done` once the pointer is up. */
  onPlacements(places: Placements, done: boolean): void;
  onBox(box: CanvasBox, done: boolean): void;
  /**
   * Find an object in a picture of the box: the address of its mask, white where it is. Null if
   * nothing was found, and the page has said why.
   */
  onObject?(picture: Promise<Blob>, prompt: ObjectPrompt): Promise<string | null>;
  /** The color picker picked "#rrggbb". */
  onColor(color: string): void;
  /** The move tool chose the layer under the pointer. */
  onActive(node: string): void;
  /** Strokes on a layer leave its transparency as it is from now on, or no more. */
  onAlphaLock?(node: string, locked: boolean): void;
  /** A key is held to look below the result that is shown. */
  onPeek?(isHeld: boolean): void;
  /** Something is being painted on a layer, which a result that is shown would cover. */
  onPaint?(): void;
  /** Keys on the stage changed the tool or its settings. */
  onTool(changes: Partial<ToolState>): void;
  /** Whether something is selected now. */
  onSelection?(hasSelection: boolean): void;
  /** The color in which a mask or region is shown; red and a few others if it is left out. */
  tintOf?(layer: PaintLayer): string;
  /** The stage as buttons use it; null when it goes. */
  readonly ref?: Ref<StageHandle>;
}

/** What buttons outside of the stage do with its pixels. */
export interface StageHandle {
  readonly hasSelection: boolean;
  selectAll(): void;
  invertSelection(): void;
  clearSelection(): void;
  /** Fill what is selected, or the box, with the tool's color on the active layer. */
  fillSelection(): void;
  /** @param merge Of the step to undo. */
  eraseSelection(merge?: string): void;
  /** Select what words name, as far as what selects objects takes words. */
  selectObject(words: string): void;
  /**
   * Draw an edit on a layer as a tool would; false while that layer cannot be painted on.
   *
   * @param label What it did, for the history; translated.
   */
  draw(node: string, edit: Edit, label: string): boolean;
  /** Put selected pixels down that are being moved; they would count where they were. */
  applyMove(): void;
  /** What is selected of the active layer, or of all if that has no picture; null if nothing is. */
  selectedPicture(): { readonly blob: Promise<Blob>; readonly placement: Placement } | null;
  /** White where something is selected, else transparent, for a new mask layer; null without one. */
  selectionPicture(): { readonly blob: Promise<Blob>; readonly placement: Placement } | null;
  /** One layer, or several merged with their opacity and modes, as one picture; null if empty. */
  mergedPicture(
    nodes: readonly string[],
  ): { readonly blob: Promise<Blob>; readonly placement: Placement } | null;
  /**
   * Keep pixels that the stage gave (`selectionPicture`, `mergedPicture`) under the value of their
   * file, so that the new layer shows without loading.
   */
  keep(value: string, blob: Promise<Blob>): void;
  /** All visible raster layers in a part of the canvas, by default the box, as PNG. */
  flattened(area?: { x: number; y: number; width: number; height: number }): Promise<Blob>;
  /** Show the box, or all layers, in the middle. */
  fit(what: "box" | "layers"): void;
  /** Take back the stroke, selection or drag that is going on. */
  cancel(): void;
  focus(): void;
}
