/** Titles of cards that are seen from afar: one line, as large as its block has room for. */

/** How wide a text is, in heights of its letters. */
export type Measure = (text: string) => number;

/** Letters on the screen, in pixels: smaller ones can't be read, larger ones tell no more. */
const LEAST = 8.5;
const MOST = 16;
/** Of a block that is that wide on the screen, a title would be two letters. */
const NARROWEST = 34;
/** Beside a title, in pixels of the canvas; and how much of a block's height its letters may take. */
const MARGIN = 10;
const TALLEST = 0.62;

export interface FarTitle {
  readonly text: string;
  /** Height of its letters, in pixels of the canvas. */
  readonly size: number;
}

/**
 * A title as a block has room for it at a zoom: smaller letters first, then fewer of them; null
 * where none could be read.
 *
 * Args:
 *   width, height: Of the block, in pixels of the canvas.
 */
export function farTitle(
  title: string,
  { width, height }: { readonly width: number; readonly height: number },
  zoom: number,
  measure: Measure,
): FarTitle | null {
  const room = width - 2 * MARGIN;
  if (width * zoom < NARROWEST || room <= 0) return null;
  const most = Math.min(MOST / zoom, height * TALLEST);
  const least = LEAST / zoom;
  if (most < least) return null;
  const wanted = Math.min(most, room / Math.max(measure(title), 1e-6));
  if (wanted >= least) return { text: title, size: Math.round(wanted * zoom * 2) / 2 / zoom };
  const text = cut(title, room / least, measure);
  return text === "" ? null : { text, size: least };
}

/** As much of a text as is no wider, with a mark for what is left out; "" if that is no letter. */
function cut(text: string, widest: number, measure: Measure): string {
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(`${text.slice(0, middle).trimEnd()}…`) <= widest) low = middle;
    else high = middle - 1;
  }
  return low === 0 ? "" : `${text.slice(0, low).trimEnd()}…`;
}
