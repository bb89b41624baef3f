/** Edits drawn on another picture than the one that they were made for. */
import type { Placement } from "@/model/painting/types";
import { extentOf, isPixelExact, matrixOf, type Rect, resolved, union } from "./geometry";
import { contextOf, type Edit, isTooLarge, type Picture, pictureOf, Surface } from "./surface";

export interface Redrawn {
  readonly picture: Picture;
  readonly placement: Placement;
}

/** A layer in pixels of the canvas: what was scaled or rotated is so from now on; null if too large. */
export function surfaceOf(picture: Picture, at: Placement): Surface | null {
  const rect = extentOf(resolved(at, picture));
  return isTooLarge(rect) ? null : surfaceIn(rect, picture, at);
}

function surfaceIn(rect: Rect, picture: Picture, at: Placement): Surface {
  const placement = resolved(at, picture);
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

/** Steps of 255 by which a channel may differ, as pictures are written and read between. */
const TOLERANCE = 2;

/**
 * An earlier or later state of a layer, with what another page has painted on the one between; null
 * if it would get too large.
 *
 * @param from The layer that the other page painted on.
 * @param theirs The layer as it left it.
 * @param own The state.
 */
export function withLater(from: Redrawn, theirs: Redrawn, own: Redrawn): Redrawn | null {
  const layers = [from, theirs, own];
  const rect = layers
    .map(({ picture, placement }) => extentOf(resolved(placement, picture)))
    .reduce(union);
  if (isTooLarge(rect)) return null;
  const [before, after, state] = layers.map(({ picture, placement }) => {
    const { canvas } = surfaceIn(rect, picture, placement);
    return contextOf(canvas, true).getImageData(0, 0, rect.width, rect.height).data;
  });
  if (!before || !after || !state) return null;
  takePainted(state, before, after);
  const surface = new Surface(rect);
  surface.draw((context) => context.drawImage(pictureOf(state, rect), rect.x, rect.y));
  const { picture, rect: cropped } = surface.cropped();
  return { picture, placement: { ...cropped, rotation: 0 } };
}

/** RGBA of a state gets the pixels that differ between two others, as the latter has them. */
export function takePainted(
  state: Uint8ClampedArray,
  before: Uint8ClampedArray,
  after: Uint8ClampedArray,
): void {
  for (let at = 0; at < state.length; at += 4) {
    if (isAlike(before, after, at)) continue;
    for (let channel = at; channel < at + 4; channel++) state[channel] = after[channel] ?? 0;
  }
}

/** Multiplied by alpha: the color of what is nearly transparent says little. */
function isAlike(a: Uint8ClampedArray, b: Uint8ClampedArray, at: number): boolean {
  const [alphaA, alphaB] = [a[at + 3] ?? 0, b[at + 3] ?? 0];
  if (Math.abs(alphaA - alphaB) > TOLERANCE) return false;
  for (let channel = at; channel < at + 3; channel++) {
    const apart = Math.abs((a[channel] ?? 0) * alphaA - (b[channel] ?? 0) * alphaB);
    if (apart > TOLERANCE * 255) return false;
  }
  return true;
}
