/**
 * The canvas that is seen, and the layers that are painted on: takes the graph's layers and the edits
 * of tools, draws what changed once a frame, and hands the picture of an edited layer on.
 */
import { isLayer, isPaintable, type PaintCanvas, type PaintLayer } from "@/model/painting/types";
import type { PaintedPicture, StageView } from "../stageProps";
import { Compositor, type LiveEdit, type Projection } from "./compositor";
import {
  expanded,
  intersection,
  isEmpty,
  NOTHING,
  outward,
  type Rect,
  type Size,
  union,
} from "./geometry";
import { LayerPixels } from "./layerPixels";
import { layersOf, layerTree, type TreeItem } from "./layerTree";
import { type Shelf, shelf as sharedShelf } from "./shelf";
import { contextOf, type Edit, encoded, newCanvas } from "./surface";

export interface PainterInput {
  readonly canvas: PaintCanvas;
  readonly view: StageView;
  /** Of the stage in CSS pixels. */
  readonly size: Size;
  /** Pixels of the screen for one CSS pixel. */
  readonly ratio: number;
  pictureOf(value: string): string;
  sourceOf(node: string): string | null;
  tintOf?: ((layer: PaintLayer) => string) | undefined;
  onPicture(layer: PaintLayer, picture: PaintedPicture): Promise<string>;
}

/** Milliseconds after which pictures around the active layer are made, before a stroke needs them. */
const QUIET = 120;

export class Painter {
  readonly pixels: LayerPixels;
  private readonly compositor: Compositor;
  private input: PainterInput | null = null;
  private tree: readonly TreeItem[] = [];
  private active: string | null = null;
  private live: LiveEdit | null = null;
  /** What the tree and the view looked like when all was drawn last. */
  private drawn = "";
  private seen = 0;
  private isStale = true;
  private dirty: Rect = NOTHING;
  private frame = 0;
  private quiet: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly visible: HTMLCanvasElement,
    /** Pictures came: frames around layers may have another size. */
    private readonly onPictures: () => void,
    shelf: Shelf = sharedShelf,
  ) {
    this.pixels = new LayerPixels(shelf, () => this.arrived());
    this.compositor = new Compositor(this.pixels);
  }

  update(input: PainterInput, active: string | null): void {
    this.input = input;
    this.sync();
    const { view, size, ratio } = input;
    const look = JSON.stringify([lookOf(this.tree), view, size, ratio, this.pixels.version]);
    if (look !== this.drawn || active !== this.active) this.redrawAll();
    this.drawn = look;
    this.seen = this.pixels.version;
    this.active = active;
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.quiet);
  }

  /** Layers that are seen, bottom first. */
  get layers(): readonly PaintLayer[] {
    return layersOf(this.tree);
  }

  /** The layer if it can be painted on now: it is seen, not locked, and its pixels are here. */
  paintable(node: string | null): PaintLayer | null {
    const layer = this.layers.find((each) => each.node === node);
    return layer !== undefined && isPaintable(layer) && this.pixels.isReady(layer.node)
      ? layer
      : null;
  }

  /** Show an edit that goes on; `changed` is what of it looks different. */
  show(node: string, edit: Edit, changed: Rect): void {
    if (this.live?.edit !== edit) {
      // What another edit has shown before goes, where it was.
      if (this.live?.edit) this.mark(this.live.edit.bounds);
      this.live = { node, edit };
    }
    this.mark(changed);
  }

  /** Take the edit back that goes on. */
  cancel(): void {
    if (this.live?.edit) this.mark(this.live.edit.bounds);
    this.live = this.live && { ...this.live, edit: null };
  }

  /**
   * Draw an edit on its layer for good; false if that isn't possible, as it would get too large.
   *
   * @param named Gets the value of the layer's picture, once it has one.
   */
  commit(
    node: string,
    edit: Edit,
    label: string,
    { merge, named }: { readonly merge?: string | undefined; named?(value: string): void } = {},
  ): boolean {
    this.cancel();
    const layer = this.paintable(node);
    if (layer === null || this.input === null || isEmpty(edit.bounds)) return layer !== null;
    const painted = this.pixels.paint(node, edit);
    this.live = { node, edit: null };
    this.mark(edit.bounds);
    if (painted === null) return false;
    const { picture, placement } = painted;
    this.input
      .onPicture(layer, { blob: encoded(picture), placement, label, edit, merge })
      .then((value) => {
        painted.named(value);
        named?.(value);
      }, painted.failed);
    return true;
  }

  /** Layers composited in their own pixels, readable. */
  composited(items: readonly TreeItem[], rect: Rect): OffscreenCanvas {
    const canvas = newCanvas(rect.width, rect.height);
    const whole = { x: 0, y: 0, width: rect.width, height: rect.height };
    const projection = { scale: 1, x: -rect.x, y: -rect.y };
    this.compositor.draw(contextOf(canvas, true), items, projection, whole, null);
    return canvas;
  }

  /** The part of the canvas that layers cover. */
  extentOf(layers: readonly PaintLayer[]): Rect {
    return layers.reduce((all, { node }) => union(all, this.pixels.extent(node)), NOTHING);
  }

  private sync(): void {
    if (this.input === null) return;
    const { canvas, pictureOf, sourceOf, tintOf } = this.input;
    const layers = canvas.entries.filter(isLayer).filter(({ kind }) => kind !== "reference");
    for (const layer of layers) {
      const value = layer.picture?.value ?? null;
      const source = layer.source === null ? null : sourceOf(layer.source);
      const url = value !== null ? pictureOf(value) : source;
      this.pixels.sync(layer, value ?? source, url);
    }
    this.pixels.retain(new Set(layers.map(({ node }) => node)));
    this.tree = layerTree(canvas, tintOf);
  }

  private arrived(): void {
    this.sync();
    // A stroke that got its value looks as before.
    if (this.pixels.version === this.seen) return;
    this.seen = this.pixels.version;
    this.redrawAll();
    this.onPictures();
  }

  private get projection(): Projection {
    const { view, ratio } = this.input ?? { view: { x: 0, y: 0, zoom: 1 }, ratio: 1 };
    const scale = view.zoom * ratio;
    // Whole pixels: at 100 % every pixel of the canvas is one of the screen.
    return { scale, x: -Math.round(view.x * scale), y: -Math.round(view.y * scale) };
  }

  private get screen(): Rect {
    const { size, ratio } = this.input ?? { size: NOTHING, ratio: 1 };
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    return { x: 0, y: 0, width, height };
  }

  private redrawAll(): void {
    this.isStale = true;
    this.compositor.invalidate();
    this.request();
  }

  /** A part of the canvas on the live layer has to be drawn again. */
  private mark(rect: Rect): void {
    if (isEmpty(rect)) return;
    const { scale, x, y } = this.projection;
    const part = {
      x: rect.x * scale + x,
      y: rect.y * scale + y,
      width: rect.width * scale,
      height: rect.height * scale,
    };
    this.dirty = union(this.dirty, intersection(outward(expanded(part, 2)), this.screen));
    this.request();
  }

  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const context = this.visible.getContext("2d");
    if (context === null) return;
    const { screen, projection, live } = this;
    if (this.isStale) {
      if (this.visible.width !== screen.width) this.visible.width = screen.width;
      if (this.visible.height !== screen.height) this.visible.height = screen.height;
      if (!isEmpty(screen)) this.compositor.draw(context, this.tree, projection, screen, live);
      this.prepareSoon();
    } else if (!isEmpty(this.dirty) && live !== null) {
      this.compositor.redraw(context, this.tree, projection, this.dirty, live, screen);
    }
    this.isStale = false;
    this.dirty = NOTHING;
  }

  private prepareSoon(): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      const node = this.paintable(this.active)?.node;
      if (node !== undefined && !this.isStale && !isEmpty(this.screen))
        this.compositor.prepare(this.tree, this.projection, this.screen, node);
    }, QUIET);
  }
}

/** What of the tree shows on the screen, besides the pixels. */
function lookOf(items: readonly TreeItem[]): unknown {
  return items.map((item) => [
    item.node,
    item.opacity,
    item.mode,
    item.kind === "group" ? [item.tint, lookOf(item.items)] : null,
  ]);
}
