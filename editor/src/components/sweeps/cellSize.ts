/** How large the cells of a grid are until somebody chooses. */
import type { Extent } from "@/model/sizes";

export const LEAST_SIZE = 64;
export const MOST_SIZE = 512;
export const SIZE_STEP = 16;
/** Below this, pictures are too small to be compared: such a grid is scrolled. */
const READABLE = 128;
const GAP = 8;
/** Beside and above the cells: labels, the dialog's head and its margins. */
const BESIDE = 200;
const ABOVE = 190;

/** So that all cells are seen at once, in a dialog that fills a window of this size. */
export function fittingSize(columns: number, rows: number, window: Extent): number {
  const width = (window.width - BESIDE) / columns - GAP;
  const height = (window.height - ABOVE) / rows - GAP;
  const fitting = Math.floor(Math.min(width, height) / SIZE_STEP) * SIZE_STEP;
  return Math.min(MOST_SIZE, Math.max(READABLE, fitting));
}
