/**
 * Draws the tree of layers. While somebody paints, only the rectangle that changed is drawn: what lies
 * below the painted layer, and above it where that needs no backdrop, is kept as one picture each.
 */
import { blendPixels, operationOf } from "./blending";
import { expanded, intersection, isEmpty, outward, type Rect, type Size } from "./geometry";
import type { LayerPixels } from "./layerPixels";
import { type GroupItem, holds, type LayerItem, type TreeItem } from "./layerTree";
import { type Context, contextOf, drawEdit, type Edit, newCanvas, pictureOf } from "./surface";

/** Where the canvas lies on what is drawn on: pixel = canvas point × scale + (x, y). */
export interface Projection {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

/** The layer that is painted on, and the stroke that is not on it yet. */
export interface LiveEdit {
  readonly node: string;
  readonly edit: Edit | null;
}

type AnyContext = Context | CanvasRenderingContext2D;

/** A canvas whose top left pixel is (x, y) of the projection. */
interface Target {
  readonly context: AnyContext;
  readonly x: number;
  readonly y: number;
}

/** From here on single pixels are shown as squares. */
const CRISP = 2;

/** Pictures of what lies around the painted layer, for each group that holds it. */
interface Around {
  readonly below: OffscreenCanvas | null;
  readonly above: OffscreenCanvas | null;
}

export class Compositor {
  private readonly scratches: OffscreenCanvas[] = [];
  private around: readonly Around[] | null = null;

  constructor(private readonly pixels: LayerPixels) {}

  /** What was drawn is out of date: another layer, view or graph. */
  invalidate(): void {
    this.around = null;
  }

  /** Draw everything in a rectangle of the target. */
  draw(
    context: AnyContext,
    items: readonly TreeItem[],
    projection: Projection,
    rect: Rect,
    live: LiveEdit | null,
  ): void {
    const target = { context, x: 0, y: 0 };
    this.clear(target, rect);
    this.list(target, items, projection, rect, live, 0);
  }

  /** Draw a rectangle again of which only the live layer has changed. */
  redraw(
    context: AnyContext,
    items: readonly TreeItem[],
    projection: Projection,
    rect: Rect,
    live: LiveEdit,
    size: Size,
  ): void {
    if (!items.some((item) => holds(item, live.node))) {
      this.draw(context, items, projection, rect, null);
      return;
    }
    this.prepare(items, projection, size, live.node);
    const target = { context, x: 0, y: 0 };
    this.clear(target, rect);
    this.changed(target, items, projection, rect, live, 0, 0);
  }

  /** Make the pictures around a layer, which its first stroke would have to wait for. */
  prepare(items: readonly TreeItem[], projection: Projection, size: Size, node: string): void {
    if (this.around !== null) return;
    const whole = { x: 0, y: 0, ...size };
    const around: Around[] = [];
    const drawn = (some: readonly TreeItem[]) => {
      if (some.length === 0) return null;
      const canvas = newCanvas(size.width, size.height);
      const target = { context: contextOf(canvas), x: 0, y: 0 };
      this.list(target, some, projection, whole, null, around.length);
      return canvas;
    };
    for (let list: readonly TreeItem[] | null = items; list !== null; ) {
      const at: number = list.findIndex((item) => holds(item, node));
      const over = list.slice(at + 1);
      around.push({
        below: drawn(list.slice(0, at)),
        above: over.every(({ mode }) => operationOf(mode) === "source-over") ? drawn(over) : null,
      });
      const inner: TreeItem | undefined = list[at];
      list = inner?.kind === "group" ? inner.items : null;
    }
    this.around = around;
  }

  private changed(
    target: Target,
    items: readonly TreeItem[],
    projection: Projection,
    rect: Rect,
    live: LiveEdit,
    level: number,
    depth: number,
  ): void {
    const at = items.findIndex((item) => holds(item, live.node));
    const item = items[at];
    const { below = null, above = null } = this.around?.[level] ?? {};
    if (below !== null) copy(below, target, rect);
    if (item?.kind === "layer") this.layer(target, item, projection, rect, live, depth);
    if (item?.kind === "group")
      this.group(target, item, rect, depth, (inner) =>
        this.changed(inner, item.items, projection, rect, live, level + 1, depth + 1),
      );
    if (above !== null) copy(above, target, rect);
    else this.list(target, items.slice(at + 1), projection, rect, live, depth);
  }

  private list(
    target: Target,
    items: readonly TreeItem[],
    projection: Projection,
    rect: Rect,
    live: LiveEdit | null,
    depth: number,
  ): void {
    for (const item of items) {
      if (item.kind === "layer") this.layer(target, item, projection, rect, live, depth);
      else
        this.group(target, item, rect, depth, (inner) =>
          this.list(inner, item.items, projection, rect, live, depth + 1),
        );
    }
  }

  private layer(
    target: Target,
    item: LayerItem,
    projection: Projection,
    rect: Rect,
    live: LiveEdit | null,
    depth: number,
  ): void {
    const edit = live?.node === item.node ? live.edit : null;
    const operation = operationOf(item.mode);
    const isPlain = operation === "source-over" && item.opacity === 1;
    const work = (context: AnyContext) => this.pixels.draw(item.node, context);
    if (edit === null) {
      const extent = onTarget(this.pixels.extent(item.node), projection);
      const part = intersection(rect, outward(expanded(extent, 1)));
      if (isEmpty(part)) return;
      if (operation !== null) {
        this.onCanvas(target, projection, part, (context) => {
          context.globalAlpha = item.opacity;
          context.globalCompositeOperation = operation;
          work(context);
        });
        return;
      }
    } else if (isPlain && edit.operation === "source-over") {
      this.onCanvas(target, projection, rect, work);
      this.stroke(target, edit, projection, rect);
      return;
    }
    // A stroke belongs to its layer before that is blended with others.
    const inner = this.scratch(depth, rect);
    this.onCanvas(inner, projection, rect, work);
    if (edit !== null) this.stroke(inner, edit, projection, rect);
    this.blend(target, inner, rect, item.opacity, item.mode);
  }

  private group(
    target: Target,
    item: GroupItem,
    rect: Rect,
    depth: number,
    work: (inner: Target) => void,
  ): void {
    const inner = this.scratch(depth, rect);
    work(inner);
    if (item.tint !== null) {
      const { context } = inner;
      context.save();
      context.globalCompositeOperation = "source-in";
      context.fillStyle = item.tint;
      context.fillRect(0, 0, rect.width, rect.height);
      context.restore();
    }
    this.blend(target, inner, rect, item.opacity, item.mode);
  }

  private stroke(target: Target, edit: Edit, projection: Projection, rect: Rect): void {
    const { scale } = projection;
    const seen = {
      x: (rect.x - projection.x) / scale,
      y: (rect.y - projection.y) / scale,
      width: rect.width / scale,
      height: rect.height / scale,
    };
    // Some pixels more: at the edge of a picture nothing is mixed with what lies beyond.
    const part = intersection(outward(expanded(seen, 2)), edit.bounds);
    if (isEmpty(part)) return;
    const picture = pictureOf(edit.pixels(part), part);
    this.onCanvas(target, projection, rect, (context) => drawEdit(context, edit, picture, part));
  }

  /** Draw in coordinates of the canvas, on a rectangle of the target only. */
  private onCanvas(
    { context, x, y }: Target,
    { scale, ...origin }: Projection,
    rect: Rect,
    work: (context: AnyContext) => void,
  ): void {
    context.save();
    context.beginPath();
    context.rect(rect.x - x, rect.y - y, rect.width, rect.height);
    context.clip();
    context.setTransform(scale, 0, 0, scale, origin.x - x, origin.y - y);
    context.imageSmoothingEnabled = scale < CRISP;
    work(context);
    context.restore();
  }

  private blend(target: Target, inner: Target, rect: Rect, opacity: number, mode: string): void {
    const { width, height } = rect;
    const [left, top] = [rect.x - target.x, rect.y - target.y];
    const operation = operationOf(mode);
    if (operation === null) {
      const below = target.context.getImageData(left, top, width, height);
      const above = inner.context.getImageData(0, 0, width, height);
      blendPixels(below.data, above.data, opacity, mode);
      target.context.putImageData(below, left, top);
      return;
    }
    target.context.save();
    target.context.globalAlpha = opacity;
    target.context.globalCompositeOperation = operation;
    target.context.drawImage(inner.context.canvas, 0, 0, width, height, left, top, width, height);
    target.context.restore();
  }

  private clear({ context }: Target, { x, y, width, height }: Rect): void {
    context.clearRect(x, y, width, height);
  }

  /** An empty canvas for what is composited by itself; one for each depth of groups. */
  private scratch(depth: number, { x, y, width, height }: Rect): Target {
    const old = this.scratches[depth];
    const fits = old !== undefined && old.width >= width && old.height >= height;
    // Far too large ones are copied as a whole with each change.
    const isWasteful = old !== undefined && old.width * old.height > 16 * (width * height + 65536);
    const canvas = fits && !isWasteful ? old : newCanvas(up(width), up(height));
    this.scratches[depth] = canvas;
    const context = contextOf(canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    return { context, x, y };
  }
}

/** Room to grow, so that not every stroke makes a canvas. */
function up(length: number): number {
  return Math.ceil(length / 128) * 128;
}

function copy(from: OffscreenCanvas, { context, x, y }: Target, rect: Rect): void {
  const { width, height } = rect;
  context.drawImage(from, rect.x, rect.y, width, height, rect.x - x, rect.y - y, width, height);
}

function onTarget(rect: Rect, { scale, x, y }: Projection): Rect {
  return {
    x: rect.x * scale + x,
    y: rect.y * scale + y,
    width: rect.width * scale,
    height: rect.height * scale,
  };
}
