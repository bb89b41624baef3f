/**
 * Selected pixels of a layer that are lifted from it: they are moved, scaled and turned, and put down
 * again as one edit of their layer.
 */
import type { Placement } from "@/model/painting/types";
import {
  extentOf,
  intersection,
  isEmpty,
  isPixelExact,
  matrixOf,
  outward,
  type Rect,
  union,
} from "./geometry";
import { masked, type Selection } from "./selection";
import { contextOf, type Edit, newCanvas, type Picture, pictureOf, Surface } from "./surface";

type Draw = (context: OffscreenCanvasRenderingContext2D) => void;

export class Floating implements Edit {
  /** The hole that they leave is part of it: what is there is drawn anew. */
  readonly operation = "replace";
  readonly opacity = 1;

  private constructor(
    readonly node: string,
    /** Where they are now. */
    readonly placement: Placement,
    private readonly lifted: Lifted,
  ) {}

  /**
   * What of a layer is selected; null if nothing is.
   *
   * @param extent Whole pixels that the layer covers.
   * @param draw Draws the layer in coordinates of the canvas.
   */
  static lift(node: string, extent: Rect, draw: Draw, selection: Selection): Floating | null {
    const isLimited = selection.outside === 0;
    const area = outward(isLimited ? intersection(extent, selection.rect) : extent);
    if (isEmpty(area)) return null;
    const mask = maskPicture(selection, area);
    const whole = new Surface(area);
    whole.draw((context) => {
      draw(context);
      context.globalCompositeOperation = "destination-in";
      context.drawImage(mask, area.x, area.y);
    });
    const { picture, rect, isBlank } = whole.cropped();
    if (isBlank) return null;
    const rest = new Surface(extent);
    rest.draw((context) => {
      draw(context);
      context.globalCompositeOperation = "destination-out";
      context.drawImage(mask, area.x, area.y);
    });
    const lifted = { rest, picture, hole: rect, mask: maskPicture(selection, rect) };
    return new Floating(node, { ...rect, rotation: 0 }, lifted);
  }

  at(placement: Placement): Floating {
    return new Floating(this.node, placement, this.lifted);
  }

  get isMoved(): boolean {
    const { hole } = this.lifted;
    const { x, y, width, height, rotation } = this.placement;
    const isThere = x === hole.x && y === hole.y && rotation % 360 === 0;
    return !isThere || width !== hole.width || height !== hole.height;
  }

  get bounds(): Rect {
    return union(this.lifted.hole, extentOf(this.placement));
  }

  pixels(rect: Rect): Uint8ClampedArray<ArrayBuffer> {
    const canvas = newCanvas(rect.width, rect.height);
    const context = contextOf(canvas, true);
    context.translate(-rect.x, -rect.y);
    const { rest, picture } = this.lifted;
    context.drawImage(rest.canvas, rest.rect.x, rest.rect.y);
    this.put(context, picture.image, picture);
    return context.getImageData(0, 0, rect.width, rect.height).data;
  }

  /** The selection after they are dropped: the same pixels in their new place. */
  get selection(): Selection {
    const rect = extentOf(this.placement);
    const canvas = newCanvas(rect.width, rect.height);
    const context = contextOf(canvas, true);
    context.translate(-rect.x, -rect.y);
    this.put(context, this.lifted.mask, this.lifted.picture);
    const { data } = context.getImageData(0, 0, rect.width, rect.height);
    const mask = new Uint8Array(rect.width * rect.height);
    for (let at = 0; at < mask.length; at++) mask[at] = data[at * 4 + 3] ?? 0;
    return { rect, mask, outside: 0 };
  }

  private put(context: OffscreenCanvasRenderingContext2D, image: OffscreenCanvas, own: Picture) {
    context.save();
    context.imageSmoothingEnabled = !isPixelExact(this.placement, own);
    context.imageSmoothingQuality = "high";
    context.transform(...matrixOf(this.placement, own));
    context.drawImage(image, 0, 0);
    context.restore();
  }
}

interface Lifted {
  /** The layer without them. */
  readonly rest: Surface;
  readonly picture: Picture;
  /** Where they were. */
  readonly hole: Rect;
  /** How much of each of them is selected. */
  readonly mask: OffscreenCanvas;
}

/** A selection as opacity. */
export function maskPicture(selection: Selection, area: Rect): OffscreenCanvas {
  const mask = masked(selection, area);
  const bytes = new Uint8ClampedArray(mask.length * 4).fill(255);
  for (let at = 0; at < mask.length; at++) bytes[at * 4 + 3] = mask[at] ?? 0;
  return pictureOf(bytes, area);
}
