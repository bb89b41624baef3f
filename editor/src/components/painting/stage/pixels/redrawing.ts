/** Edits drawn on another picture than the one that they were made for. */
import type { Placement } from "@/model/painting/types";
import { extentOf, isPixelExact, matrixOf, resolved } from "./geometry";
import { type Edit, isTooLarge, type Picture, Surface } from "./surface";

export interface Redrawn {
  readonly picture: Picture;
  readonly placement: Placement;
}

/** A layer in pixels of the canvas: what was scaled or rotated is so from now on; null if too large. */
export function surfaceOf(picture: Picture, at: Placement): Surface | null {
  const placement = resolved(at, picture);
  const rect = extentOf(placement);
  if (isTooLarge(rect)) return null;
  const surface = new Surface(rect);
  surface.draw((context) => {
    context.imageSmoothingEnabled = !isPixelExact(placement, picture);
    context.imageSmoothingQuality = "high";
    context.transform(...matrixOf(placement, picture));
    context.drawImage(picture.image, 0, 0);
  });
  return surface;
}

/** The layer after each of the edits; null if it would get too large. */
export function redrawn(
  picture: Picture,
  at: Placement,
  edits: readonly Edit[],
): readonly Redrawn[] | null {
  const surface = surfaceOf(picture, at);
  const all: Redrawn[] = [];
  for (const edit of edits) {
    if (!surface?.apply(edit)) return null;
    const { picture: after, rect } = surface.cropped();
    all.push({ picture: after, placement: { ...rect, rotation: 0 } });
  }
  return all;
}
