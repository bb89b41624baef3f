/** Pixels of a layer at their place on the canvas, grown as needed when it is painted beyond them. */
import { encodePng } from "./encoding";
import { intersection, isEmpty, NOTHING, outward, type Rect, union } from "./geometry";

export type Context = OffscreenCanvasRenderingContext2D;

/** A picture that is only read: it may be shared. */
export interface Picture {
  readonly image: OffscreenCanvas;
  readonly width: number;
  readonly height: number;
}

/** What is drawn on a layer: a stroke, a fill, a gradient, pixels that were moved. */
export interface Edit {
  /** How it is drawn on what is there: "replace" takes that away within the bounds. */
  readonly operation: "source-over" | "source-atop" | "destination-out" | "replace";
  /** 0 to 1. */
  readonly opacity: number;
  /** Pixels that it may change. */
  readonly bounds: Rect;
  /** RGBA of a part of the canvas, not multiplied by alpha or opacity. */
  pixels(rect: Rect): Uint8ClampedArray<ArrayBuffer>;
}

/** A surface grows to multiples of this. */
const CHUNK = 256;
/** Larger pictures are refused: browsers draw no larger canvas, and memory ends. */
export const MOST_PIXELS = 128 * 2 ** 20;
export const LONGEST_SIDE = 16384;
/** Pixels that are looked at once for the bounds of what is painted. */
const BAND = 64;

export function newCanvas(width: number, height: number): OffscreenCanvas {
  return new OffscreenCanvas(Math.max(1, width), Math.max(1, height));
}

/** @param readable Pixels stay in memory: reading them is fast, and drawing is as on any machine. */
export function contextOf(canvas: OffscreenCanvas, readable = false): Context {
  const context = canvas.getContext("2d", { willReadFrequently: readable });
  if (context === null) throw new Error("The browser has no memory left for a canvas.");
  return context;
}

export function isTooLarge({ width, height }: Rect): boolean {
  return width > LONGEST_SIDE || height > LONGEST_SIDE || width * height > MOST_PIXELS;
}

export class Surface {
  canvas: OffscreenCanvas;
  private context: Context;

  constructor(public rect: Rect) {
    this.canvas = newCanvas(rect.width, rect.height);
    this.context = contextOf(this.canvas, true);
  }

  /** Draw on it in coordinates of the canvas. */
  draw(work: (context: Context) => void): void {
    this.context.save();
    this.context.translate(-this.rect.x, -this.rect.y);
    work(this.context);
    this.context.restore();
  }

  /** Draw a stroke on it; false if the surface would get too large. */
  apply(edit: Edit): boolean {
    // Where nothing is painted, erasing and painting within the transparency change nothing.
    const stays = edit.operation === "destination-out" || edit.operation === "source-atop";
    const rect = stays ? intersection(edit.bounds, this.rect) : outward(edit.bounds);
    if (isEmpty(rect)) return true;
    if (!stays && !this.grow(rect)) return false;
    const pixels = pictureOf(edit.pixels(rect), rect);
    this.draw((context) => drawEdit(context, edit, pixels, rect));
    return true;
  }

  /** What is painted on it, cropped; one transparent pixel if nothing is. */
  cropped(): { readonly picture: Picture; readonly rect: Rect; readonly isBlank: boolean } {
    const painted = this.painted();
    const isBlank = isEmpty(painted);
    const rect = isBlank ? { ...this.rect, width: 1, height: 1 } : painted;
    const image = newCanvas(rect.width, rect.height);
    contextOf(image, true).drawImage(this.canvas, this.rect.x - rect.x, this.rect.y - rect.y);
    return { picture: { image, width: rect.width, height: rect.height }, rect, isBlank };
  }

  /** Bounds of the pixels that aren't transparent. */
  private painted(): Rect {
    const { width, height } = this.rect;
    const top = this.firstPainted(height, (at, size) => [0, at, width, size]);
    if (top === null) return NOTHING;
    const bottom =
      height -
      (this.firstPainted(height, (at, size) => [0, height - at - size, width, size], true) ?? 0);
    const rows = bottom - top;
    const left = this.firstPainted(width, (at, size) => [at, top, size, rows]) ?? 0;
    const right =
      width -
      (this.firstPainted(width, (at, size) => [width - at - size, top, size, rows], true) ?? 0);
    return {
      x: this.rect.x + left,
      y: this.rect.y + top,
      width: right - left,
      height: bottom - top,
    };
  }

  /** How far from one side the first painted pixel is: bands are read until one has some. */
  private firstPainted(
    length: number,
    band: (at: number, size: number) => readonly [number, number, number, number],
    fromEnd = false,
  ): number | null {
    for (let at = 0; at < length; at += BAND) {
      const size = Math.min(BAND, length - at);
      const [x, y, width, height] = band(at, size);
      const { data } = this.context.getImageData(x, y, width, height);
      const words = new Uint32Array(data.buffer);
      const line = firstLine(words, width, height, width === size && height !== size, fromEnd);
      if (line !== null) return at + line;
    }
    return null;
  }

  private grow(rect: Rect): boolean {
    const all = union(this.rect, rect);
    if (all.width === this.rect.width && all.height === this.rect.height) return true;
    const [x, y] = [Math.floor(all.x / CHUNK) * CHUNK, Math.floor(all.y / CHUNK) * CHUNK];
    const grown = {
      x,
      y,
      width: Math.ceil((all.x + all.width - x) / CHUNK) * CHUNK,
      height: Math.ceil((all.y + all.height - y) / CHUNK) * CHUNK,
    };
    if (isTooLarge(grown)) return false;
    const [old, before] = [this.canvas, this.rect];
    this.canvas = newCanvas(grown.width, grown.height);
    this.context = contextOf(this.canvas, true);
    this.rect = grown;
    this.context.drawImage(old, before.x - grown.x, before.y - grown.y);
    return true;
  }
}

/** Draw a part of an edit, in coordinates of the canvas. */
export function drawEdit(
  context: Context | CanvasRenderingContext2D,
  { operation, opacity }: Edit,
  pixels: OffscreenCanvas,
  { x, y, width, height }: Rect,
): void {
  if (operation === "replace") context.clearRect(x, y, width, height);
  else context.globalCompositeOperation = operation;
  context.globalAlpha = opacity;
  context.drawImage(pixels, x, y);
}

/** The first row, or column, that has a pixel other than transparent black; from either end. */
export function firstLine(
  words: Uint32Array,
  width: number,
  height: number,
  columns: boolean,
  fromEnd: boolean,
): number | null {
  const count = columns ? width : height;
  for (let line = 0; line < count; line++) {
    const at = fromEnd ? count - 1 - line : line;
    const [start, step, steps] = columns ? [at, width, height] : [at * width, 1, width];
    for (let index = 0, word = start; index < steps; index++, word += step)
      if (words[word] !== 0) return line;
  }
  return null;
}

/** RGBA bytes as something that can be drawn. */
export function pictureOf(bytes: Uint8ClampedArray<ArrayBuffer>, rect: Rect): OffscreenCanvas {
  const canvas = newCanvas(rect.width, rect.height);
  const data = new ImageData(bytes, rect.width, rect.height);
  contextOf(canvas, true).putImageData(data, 0, 0);
  return canvas;
}

/** A picture with its file; it is encoded elsewhere meanwhile. */
export function encoded(picture: Picture): Promise<Blob> {
  return encodePng(picture.image);
}
