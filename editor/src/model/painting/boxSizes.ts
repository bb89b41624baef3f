/** Sizes at which a box is sampled: those that suit a family of models, at the ratio of the box. */
import { CELL, sizeFor } from "../generate/sizes";
import type { Extent } from "./ground";

/**
 * As many pixels as a family was trained with, in the shape of a box: the model draws a small box
 * larger and a large one smaller than it is, and the layers are scaled to that and back.
 */
export function sampledFor(family: string, { width, height }: Extent): Extent {
  const ratio = width / height;
  const trained = sizeFor(family, ratio);
  const wide = Math.sqrt(trained.width * trained.height * ratio);
  return { width: inCells(wide), height: inCells(wide / ratio) };
}

/** The size of a box in whole cells of a latent, which is sampled as it is. */
export function snapped({ width, height }: Extent): Extent {
  return { width: inCells(width), height: inCells(height) };
}

function inCells(length: number): number {
  return Math.max(CELL, Math.round(length / CELL) * CELL);
}
