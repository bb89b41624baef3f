/** What of the canvas is selected: a byte a pixel, and one for all that lies outside of them. */
import type { SelectionMode } from "../tools";
import { intersection, isEmpty, NOTHING, outward, type Point, type Rect, union } from "./geometry";

export interface Selection {
  readonly rect: Rect;
  /** 0 to 255, row by row. */
  readonly mask: Uint8Array;
  /** 255 once a selection is inverted: all around it is selected. */
  readonly outside: 0 | 255;
}

export const NO_SELECTION: Selection = { rect: NOTHING, mask: new Uint8Array(0), outside: 0 };

export function selectRectangle(rect: Rect): Selection {
  const whole = {
    x: Math.round(rect.x),
    y: Math.round(rect.y),
    width: Math.round(rect.x + rect.width) - Math.round(rect.x),
    height: Math.round(rect.y + rect.height) - Math.round(rect.y),
  };
  if (isEmpty(whole)) return NO_SELECTION;
  return { rect: whole, mask: new Uint8Array(whole.width * whole.height).fill(255), outside: 0 };
}

export function selectEllipse(rect: Rect): Selection {
  return selectPolygon(ellipsePoints(rect));
}

/** Corners close enough together that an ellipse looks round. */
export function ellipsePoints(rect: Rect): readonly Point[] {
  const [rx, ry] = [rect.width / 2, rect.height / 2];
  const count = Math.max(16, Math.min(512, Math.ceil(Math.PI * Math.sqrt(rx + ry) * 2)));
  return Array.from({ length: count }, (_, index) => {
    const angle = (2 * Math.PI * index) / count;
    return {
      x: rect.x + rx * (1 + Math.cos(angle)),
      y: rect.y + ry * (1 + Math.sin(angle)),
    };
  });
}

/** Lines a pixel that edges are sampled at; across they are exact. */
const SUBLINES = 4;

/** The inside of a closed line with smooth edges; where it crosses itself all of it counts. */
export function selectPolygon(points: readonly Point[]): Selection {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  if (points.length < 3) return NO_SELECTION;
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const rect = outward({
    x: left,
    y: top,
    width: Math.max(...xs) - left,
    height: Math.max(...ys) - top,
  });
  if (isEmpty(rect)) return NO_SELECTION;
  const mask = new Uint8Array(rect.width * rect.height);
  const row = new Float32Array(rect.width);
  for (let y = 0; y < rect.height; y++) {
    row.fill(0);
    for (let line = 0; line < SUBLINES; line++)
      for (const [from, to] of insides(points, rect.y + y + (line + 0.5) / SUBLINES))
        cover(row, from - rect.x, to - rect.x);
    for (let x = 0; x < rect.width; x++)
      mask[y * rect.width + x] = Math.round(((row[x] ?? 0) * 255) / SUBLINES);
  }
  return { rect, mask, outside: 0 };
}

/** Where a horizontal line runs inside of a polygon, by its winding number. */
function insides(points: readonly Point[], y: number): readonly (readonly [number, number])[] {
  const crossings: (readonly [number, 1 | -1])[] = [];
  let from = points.at(-1);
  for (const to of points) {
    if (from !== undefined && from.y <= y !== to.y <= y) {
      const x = from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x);
      crossings.push([x, to.y > from.y ? 1 : -1]);
    }
    from = to;
  }
  crossings.sort(([a], [b]) => a - b);
  const found: (readonly [number, number])[] = [];
  let winding = 0;
  let start = 0;
  for (const [x, direction] of crossings) {
    if (winding === 0) start = x;
    winding += direction;
    if (winding === 0) found.push([start, x]);
  }
  return found;
}

function cover(row: Float32Array, from: number, to: number): void {
  const last = Math.min(row.length - 1, Math.ceil(to) - 1);
  for (let x = Math.max(0, Math.floor(from)); x <= last; x++)
    row[x] = (row[x] ?? 0) + Math.min(to, x + 1) - Math.max(from, x);
}

export function combined(old: Selection, next: Selection, mode: SelectionMode): Selection {
  if (mode === "replace") return next;
  if (mode === "add") return merged(old, next, (a, b) => Math.max(a, b));
  return merged(old, next, (a, b) => Math.min(a, 255 - b));
}

export function inverted({ rect, mask, outside }: Selection): Selection {
  return { rect, mask: mask.map((byte) => 255 - byte), outside: outside === 0 ? 255 : 0 };
}

function merged(a: Selection, b: Selection, one: (a: number, b: number) => number): Selection {
  const rect = union(a.rect, b.rect);
  const mask = new Uint8Array(rect.width * rect.height);
  let at = 0;
  for (let y = rect.y; y < rect.y + rect.height; y++)
    for (let x = rect.x; x < rect.x + rect.width; x++)
      mask[at++] = one(selectedAt(a, x, y), selectedAt(b, x, y));
  return { rect, mask, outside: one(a.outside, b.outside) === 0 ? 0 : 255 };
}

/** How much of a pixel is selected, 0 to 255. */
export function selectedAt({ rect, mask, outside }: Selection, x: number, y: number): number {
  const [column, row] = [x - rect.x, y - rect.y];
  if (column < 0 || row < 0 || column >= rect.width || row >= rect.height) return outside;
  return mask[row * rect.width + column] ?? outside;
}

/** Whether nothing is selected, which leaves tools free to work everywhere. */
export function isNone({ mask, outside }: Selection): boolean {
  return outside === 0 && !mask.some((byte) => byte !== 0);
}

/** What of it lies in a part of the canvas, as a mask of that part. */
export function masked(selection: Selection, rect: Rect): Uint8Array {
  const mask = new Uint8Array(rect.width * rect.height).fill(selection.outside);
  const part = intersection(selection.rect, rect);
  for (let y = part.y; y < part.y + part.height; y++) {
    const from = (y - selection.rect.y) * selection.rect.width + part.x - selection.rect.x;
    mask.set(
      selection.mask.subarray(from, from + part.width),
      (y - rect.y) * rect.width + part.x - rect.x,
    );
  }
  return mask;
}

/** Take what isn't selected from RGBA pixels of a part of the canvas. */
export function clip(pixels: Uint8ClampedArray, rect: Rect, selection: Selection): void {
  const mask = masked(selection, rect);
  for (let at = 0; at < mask.length; at++) {
    const byte = mask[at] ?? 0;
    if (byte < 255) pixels[at * 4 + 3] = ((pixels[at * 4 + 3] ?? 0) * byte) / 255;
  }
}

/**
 * Its edge between pixels of which one is selected by half or more: closed lines of corners, each with
 * what is selected to its right.
 */
export function contours(selection: Selection): readonly (readonly Point[])[] {
  const next = edges(selection);
  const found: (readonly Point[])[] = [];
  for (const start of next.values()) {
    for (let edge = start.pop(); edge !== undefined; edge = start.pop()) {
      const line: Point[] = [];
      const first = edge;
      let last: Edge | null = null;
      for (let at: Edge | undefined = edge; at !== undefined; ) {
        if (last === null || last.dx !== at.dx || last.dy !== at.dy)
          line.push({ x: at.x, y: at.y });
        last = at;
        const [x, y]: [number, number] = [at.x + at.dx, at.y + at.dy];
        if (x === first.x && y === first.y) break;
        at = next.get(`${x},${y}`)?.pop();
      }
      found.push(line);
    }
  }
  return found;
}

interface Edge extends Point {
  readonly dx: number;
  readonly dy: number;
}

/** Sides of pixels at the edge, by the corner where they begin. */
function edges(selection: Selection): Map<string, Edge[]> {
  const { rect } = selection;
  const found = new Map<string, Edge[]>();
  const is = (x: number, y: number) => selectedAt(selection, x, y) >= 128;
  const add = (x: number, y: number, dx: number, dy: number) => {
    const key = `${x},${y}`;
    const here = found.get(key);
    if (here === undefined) found.set(key, [{ x, y, dx, dy }]);
    else here.push({ x, y, dx, dy });
  };
  for (let y = rect.y; y <= rect.y + rect.height; y++) {
    for (let x = rect.x; x <= rect.x + rect.width; x++) {
      const own = is(x, y);
      if (own !== is(x, y - 1)) own ? add(x, y, 1, 0) : add(x + 1, y, -1, 0);
      if (own !== is(x - 1, y)) own ? add(x, y + 1, 0, -1) : add(x, y, 0, 1);
    }
  }
  return found;
}
