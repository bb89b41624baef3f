/** The bucket: which pixels of a picture have the color of one of them. */
import type { Point, Size } from "./geometry";

export interface FillOptions {
  /** 0 to 255: the largest difference of a channel, each multiplied by alpha. */
  readonly tolerance: number;
  /** Only what touches the point, by a side. */
  readonly contiguous: boolean;
}

/**
 * A byte a pixel, 255 where it is filled; null if the point lies outside.
 *
 * @param pixels RGBA, row by row, not multiplied by alpha.
 */
export function floodFill(
  pixels: Uint8ClampedArray,
  { width, height }: Size,
  { x, y }: Point,
  { tolerance, contiguous }: FillOptions,
): Uint8Array | null {
  if (x < 0 || y < 0 || x >= width || y >= height) return null;
  const start = (y * width + x) * 4;
  const goal = [0, 1, 2, 3].map((channel) => multiplied(pixels, start, channel));
  const [red = 0, green = 0, blue = 0, alpha = 0] = goal;
  const is = (pixel: number): boolean => {
    const at = pixel * 4;
    return (
      Math.abs((pixels[at + 3] ?? 0) - alpha) <= tolerance &&
      Math.abs(multiplied(pixels, at, 0) - red) <= tolerance &&
      Math.abs(multiplied(pixels, at, 1) - green) <= tolerance &&
      Math.abs(multiplied(pixels, at, 2) - blue) <= tolerance
    );
  };
  const mask = new Uint8Array(width * height);
  if (contiguous) spread(mask, width, height, x, y, is);
  else for (let pixel = 0; pixel < mask.length; pixel++) mask[pixel] = is(pixel) ? 255 : 0;
  return mask;
}

/** Transparent pixels are alike, whatever color lies under them. */
function multiplied(pixels: Uint8ClampedArray, at: number, channel: number): number {
  const alpha = pixels[at + 3] ?? 0;
  return channel === 3 ? alpha : ((pixels[at + channel] ?? 0) * alpha) / 255;
}

/** Row by row: whole runs of pixels at once, one start for each run above and below. */
function spread(
  mask: Uint8Array,
  width: number,
  height: number,
  x: number,
  y: number,
  is: (pixel: number) => boolean,
): void {
  const starts = [y * width + x];
  for (let start = starts.pop(); start !== undefined; start = starts.pop()) {
    if (mask[start] !== 0 || !is(start)) continue;
    const row = Math.floor(start / width) * width;
    let left = start;
    while (left > row && mask[left - 1] === 0 && is(left - 1)) left--;
    let right = start;
    while (right < row + width - 1 && mask[right + 1] === 0 && is(right + 1)) right++;
    mask.fill(255, left, right + 1);
    for (const next of [row - width, row + width]) {
      if (next < 0 || next >= width * height) continue;
      let inRun = false;
      for (let at = left - row + next; at <= right - row + next; at++) {
        const fits = mask[at] === 0 && is(at);
        if (fits && !inRun) starts.push(at);
        inRun = fits;
      }
    }
  }
}
